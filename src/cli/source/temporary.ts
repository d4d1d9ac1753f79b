import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Makes a private directory (0700), fills it, and removes it again when filling it fails.
 * @returns its path, and how to remove it
 */
export async function inTemporary<T>(
  fill: (directory: string) => Promise<T>,
): Promise<{ directory: string; result: T; dispose: () => Promise<void> }> {
  const directory = await realpath(await mkdtemp(join(tmpdir(), 'paas-source-')));
  const dispose = (): Promise<void> => rm(directory, { recursive: true, force: true, maxRetries: 3 });
  try {
    return { directory, result: await fill(directory), dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}
