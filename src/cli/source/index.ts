/**
 * Where the files of a push come from. Each kind ends as a directory; what is needed for the rarer kinds is loaded only
 * when they are used.
 */
import { realpath, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { errnoOf, PaasError } from '../../shared/errors.ts';
import type { Source } from './types.ts';
import { workTree } from './work-tree.ts';

export type { Provenance, Source } from './types.ts';

export interface SourceOptions {
  /** Directory or archive; relative to the current directory. Default: the current directory. */
  path?: string;
  git?: string;
  ref?: string;
  svn?: string;
  revision?: string;
  signal?: AbortSignal;
}

/**
 * Opens the source of a push. Whoever opens it disposes of it.
 * @throws PaasError `usage` when the options contradict each other, `not_found` when what they name does not exist,
 *   `source_invalid` when it cannot be used
 */
export async function openSource(options: SourceOptions = {}): Promise<Source> {
  const { path, git, ref, svn, revision } = options;
  const kinds = Object.entries({ path, git, svn }).filter(([, value]) => value !== undefined);
  if (kinds.length > 1)
    throw new PaasError('usage', `Give only one of ${kinds.map(([name]) => `--${name}`).join(', ')}.`);
  if (ref !== undefined && git === undefined) throw new PaasError('usage', '--ref needs --git.');
  if (revision !== undefined && svn === undefined) throw new PaasError('usage', '--revision needs --svn.');
  const signal = options.signal ? { signal: options.signal } : {};
  if (git !== undefined)
    return (await import('./git.ts')).openGit(git, { ...(ref === undefined ? {} : { ref }), ...signal });
  if (svn !== undefined)
    return (await import('./svn.ts')).openSvn(svn, { ...(revision === undefined ? {} : { revision }), ...signal });
  return openPath(path ?? '.');
}

async function openPath(name: string): Promise<Source> {
  let directory: string;
  let isFile: boolean;
  try {
    directory = await realpath(resolve(name));
    const found = await stat(directory);
    isFile = found.isFile();
    if (!isFile && !found.isDirectory())
      throw new PaasError('source_invalid', `${name} is neither a directory nor an archive.`);
  } catch (cause) {
    const errno = errnoOf(cause);
    if (errno === undefined || cause instanceof PaasError) throw cause;
    if (errno === 'ENOENT' || errno === 'ENOTDIR')
      throw new PaasError('not_found', `There is no ${name}.`, {
        hint: 'Name a directory or an archive with --path.',
        cause,
      });
    throw new PaasError('source_invalid', `Cannot read ${name}: ${errno}.`, { cause });
  }
  if (isFile) return (await import('./archive.ts')).openArchive(directory);
  return {
    directory,
    name,
    temporary: false,
    provenance: { kind: 'directory', ...workTree(directory) },
    notices: [],
    dispose: () => Promise.resolve(),
  };
}
