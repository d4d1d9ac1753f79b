/** Sources out of Subversion repositories, by `svn export`; it never prompts. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { execa, ExecaError } from 'execa';
import { PaasError } from '../../shared/errors.ts';
import { parseRepositoryUrl, reasonOf, type RepositoryUrl } from './repository-url.ts';
import { inTemporary } from './temporary.ts';
import type { Source } from './types.ts';

const schemes = ['https', 'http', 'svn', 'svn+ssh', 'file'];

export interface SvnOptions {
  /** A number, HEAD, or a date in braces (`{2024-01-31}`); default HEAD. */
  revision?: string;
  signal?: AbortSignal;
}

/**
 * Exports a path of a repository at one revision into a private directory.
 * @throws PaasError `usage` for an address or revision that is not one, `not_found` when there is no such path or
 *   revision, `source_invalid` when it cannot be fetched, `unsupported` without svn
 */
export async function openSvn(address: string, options: SvnOptions = {}): Promise<Source> {
  const repository = parseRepositoryUrl(address, schemes, false);
  const revision = options.revision ?? 'HEAD';
  if (!/^(HEAD|[0-9]{1,12}|\{[0-9TZ:. +-]{4,40}\})$/.test(revision))
    throw new PaasError('usage', `${JSON.stringify(revision)} is not a revision: a number, HEAD, or a date in braces.`);
  const { directory, result, dispose } = await inTemporary(async (into) => {
    // Asked for once, so that the export is of one state even when somebody commits meanwhile.
    const commit = await svn(
      repository,
      options.signal,
      ['info', '--show-item=revision', `--revision=${revision}`],
      [],
    );
    const tree = join(into, 'tree');
    await mkdir(tree);
    await svn(repository, options.signal, ['export', '--quiet', '--force', `--revision=${commit}`], [tree], commit);
    return commit;
  });
  return {
    directory: join(directory, 'tree'),
    name: repository.url,
    temporary: true,
    provenance: { kind: 'svn', url: repository.url, ref: revision, commit: result },
    notices: [],
    dispose,
  };
}

/** Runs svn on the repository's address at a peg revision, which also keeps an @ in the address from being taken as one. */
async function svn(
  repository: RepositoryUrl,
  signal: AbortSignal | undefined,
  command: string[],
  rest: string[],
  peg = '',
): Promise<string> {
  const { credentials } = repository;
  const login = credentials ? [`--username=${credentials.user}`, '--password-from-stdin'] : [];
  const unattended = ['--non-interactive', '--no-auth-cache', ...login];
  try {
    const { stdout } = await execa('svn', [...command, ...unattended, '--', `${repository.url}@${peg}`, ...rest], {
      // The password goes through a pipe: arguments can be seen by every user of the machine.
      input: credentials?.password ?? '',
      // Names that are not ASCII need a locale that can spell them.
      env: { LC_ALL: 'C.UTF-8', ...(process.env.SVN_SSH === undefined ? { SVN_SSH: 'ssh -o BatchMode=yes' } : {}) },
      ...(signal ? { cancelSignal: signal } : {}),
    });
    return stdout.trim();
  } catch (error) {
    throw failure(error, repository);
  }
}

function failure(error: unknown, repository: RepositoryUrl): PaasError {
  if (!(error instanceof ExecaError) || typeof error.stderr !== 'string') throw error;
  if (error.isCanceled) return new PaasError('interrupted', 'Interrupted while svn was at work.', { hint: '' });
  if (error.code === 'ENOENT')
    return new PaasError('unsupported', 'svn is not installed on this machine.', { hint: 'Install subversion.' });
  const secrets = repository.credentials ? [repository.credentials.password] : [];
  const reason = reasonOf(error.stderr, secrets);
  // E160006 no such revision, E160013 and E200009 no such path, E195012/E170000 not there at that revision
  const absent = /E160006|E160013|E200009|E195012|E170000/.test(reason);
  return new PaasError(absent ? 'not_found' : 'source_invalid', `svn cannot export ${repository.url}:\n${reason}`, {
    hint: 'Check the address, the revision and your access: svn never asks for a password here.',
    cause: new Error(reason),
  });
}
