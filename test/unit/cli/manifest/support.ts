import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach } from 'vitest';
import { loadManifest, type LoadedManifest, type LoadOptions } from '../../../../src/cli/manifest/load.ts';
import type { Problem } from '../../../../src/cli/manifest/problems.ts';
import { PaasError } from '../../../../src/shared/errors.ts';

const made: string[] = [];

afterEach(async () => {
  for (const directory of made.splice(0)) await rm(directory, { recursive: true });
});

/** A directory with these files, called `name`; removed after the test. */
export async function directoryWith(files: Record<string, string | Uint8Array>, name = 'my-app'): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), 'paas-manifest-'));
  made.push(parent);
  const directory = join(parent, name);
  await mkdir(directory);
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), content);
  }
  return directory;
}

/** What `paas push` reads in a directory with these files. */
export async function load(
  files: Record<string, string | Uint8Array>,
  options: Partial<LoadOptions> = {},
): Promise<LoadedManifest & { spec: LoadedManifest['specs'][number]; notices: string[] }> {
  const directory = await directoryWith(files);
  const loaded = await loadManifest({ directory, environment: 'dev', flags: {}, ...options });
  return { ...loaded, spec: loaded.specs[0]!, notices: loaded.warnings.map((warning) => warning.message) };
}

/** The error that reading these files gives. */
export async function failure(
  files: Record<string, string | Uint8Array>,
  options: Partial<LoadOptions> = {},
): Promise<PaasError> {
  try {
    await load(files, options);
  } catch (thrown) {
    if (thrown instanceof PaasError) return thrown;
    throw thrown;
  }
  throw new Error('it was read without an error');
}

/** The problems of the error, each as `line:column message; hint`. */
export async function problems(
  files: Record<string, string | Uint8Array>,
  options: Partial<LoadOptions> = {},
): Promise<string[]> {
  const error = await failure(files, options);
  if (error.code !== 'manifest_invalid') throw error;
  return (error.details['problems'] as Problem[]).map(
    ({ line, column, message, hint }) => `${line}:${column} ${message}${hint === undefined ? '' : `; ${hint}`}`,
  );
}
