/** Removes a directory tree whatever the permissions that apps have set inside it. */
import { chmod, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../shared/errors.ts';

/** Root needs no permission; others cannot empty a read-only directory, even their own, before they make it writable. */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true, maxRetries: 3 });
  } catch (error) {
    if (errnoOf(error) !== 'EACCES' && errnoOf(error) !== 'EPERM') throw error;
    await makeWritable(path);
    await rm(path, { recursive: true, force: true });
  }
}

async function makeWritable(directory: string): Promise<void> {
  await chmod(directory, 0o700);
  for (const item of await readdir(directory, { withFileTypes: true })) {
    if (item.isDirectory()) await makeWritable(join(directory, item.name));
  }
}
