/** Sources out of git repositories. git itself does the work, through simple-git; it never prompts. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { simpleGit, type SimpleGit } from 'simple-git';
import { errnoOf, PaasError } from '../../shared/errors.ts';
import { parseRepositoryUrl, reasonOf, type RepositoryUrl } from './repository-url.ts';
import { inTemporary } from './temporary.ts';
import type { Source } from './types.ts';

const schemes = ['https', 'http', 'ssh', 'git', 'file'];

export interface GitOptions {
  /** Branch, tag or commit (also abbreviated); default the repository's HEAD. */
  ref?: string;
  signal?: AbortSignal;
}

/**
 * Checks a commit out into a private directory, with its submodules: of a branch, tag or full commit id only the newest
 * state is fetched.
 * @param address URL, `user@host:path`, or a path of this machine
 * @throws PaasError `usage` for an address or ref that is not one, `not_found` when there is no such ref,
 *   `source_invalid` when the repository cannot be fetched, `unsupported` without git
 */
export async function openGit(address: string, options: GitOptions = {}): Promise<Source> {
  const repository = parseRepositoryUrl(address, schemes, true);
  const { ref } = options;
  if (ref !== undefined) checkRef(ref);
  const { directory, result, dispose } = await inTemporary((into) => checkOut(repository, ref, into, options.signal));
  return {
    directory,
    name: repository.url,
    temporary: true,
    provenance: { kind: 'git', url: repository.url, ...(ref === undefined ? {} : { ref }), commit: result },
    notices: [],
    dispose,
  };
}

/** git's rules for ref names (git-check-ref-format), and nothing that an option or a refspec could hide in. */
function checkRef(ref: string): void {
  if (ref === '' || /^[-+/]|[\u0000-\u0020\u007f~^:?*[\\]|\.\.|@\{|\/$|\.lock$/.test(ref))
    throw new PaasError('usage', `${JSON.stringify(ref)} cannot be the name of a branch, tag or commit.`);
}

async function checkOut(
  repository: RepositoryUrl,
  ref: string | undefined,
  into: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const git = gitIn(into, repository, signal);
  const run = async (...args: string[]): Promise<string> => {
    try {
      return (await git.raw(args)).trim();
    } catch (error) {
      throw failure(error, repository, signal);
    }
  };
  await run('init', '--quiet');
  await run('remote', 'add', 'origin', repository.url);
  const commit = await fetch(run, repository, ref);
  await run('-c', 'advice.detachedHead=false', 'checkout', '--quiet', '--force', '--detach', commit);
  if (existsSync(join(into, '.gitmodules'))) {
    const update = ['submodule', 'update', '--init', '--recursive'];
    // Not every server gives out single commits.
    await run(...update, '--depth=1').catch(() => run(...update));
  }
  return commit;
}

async function fetch(
  run: (...args: string[]) => Promise<string>,
  repository: RepositoryUrl,
  ref = 'HEAD',
): Promise<string> {
  try {
    await run('fetch', '--quiet', '--depth=1', '--no-tags', 'origin', ref);
    return await run('rev-parse', '--verify', 'FETCH_HEAD^{commit}');
  } catch (error) {
    if (!(error instanceof PaasError) || error.code !== 'not_found' || !/^[0-9a-f]{4,64}$/i.test(ref)) throw error;
  }
  // An abbreviated commit, or one the server does not give out by its id: it must be looked for in the whole history.
  await run('fetch', '--quiet', '--tags', 'origin', '+refs/heads/*:refs/remotes/origin/*');
  return run('rev-parse', '--verify', `${ref}^{commit}`).catch((cause: unknown) => {
    throw noSuchRef(repository, ref, cause);
  });
}

const noSuchRef = (repository: RepositoryUrl, ref: string, cause: unknown): PaasError =>
  new PaasError('not_found', `${repository.url} has no branch, tag or commit ${JSON.stringify(ref)}.`, {
    hint: 'See `git ls-remote` for what it has.',
    cause,
  });

function failure(error: unknown, repository: RepositoryUrl, signal: AbortSignal | undefined): PaasError {
  if (signal?.aborted)
    return new PaasError('interrupted', 'Interrupted while git was at work.', { hint: '', cause: error });
  if (errnoOf(error) === 'ENOENT' || (error instanceof Error && error.message.includes('ENOENT')))
    return new PaasError('unsupported', 'git is not installed on this machine.', {
      hint: 'Install git.',
      cause: error,
    });
  const reason = reasonOf(error instanceof Error ? error.message : String(error), secretsOf(repository));
  const ref = /couldn't find remote ref (\S+)|not our ref (\S+)|unadvertised object (\S+)/.exec(reason);
  if (ref) return noSuchRef(repository, ref[1] ?? ref[2] ?? ref[3] ?? '', new Error(reason));
  // The cause is a new error: the original's text may hold what was redacted.
  return new PaasError('source_invalid', `git cannot fetch ${repository.url}:\n${reason}`, {
    hint: 'Check the address and your access: git never asks for a password here.',
    cause: new Error(reason),
  });
}

const secretsOf = ({ credentials }: RepositoryUrl): string[] =>
  credentials ? [credentials.password, encodeURIComponent(credentials.password), basicOf(credentials)] : [];

const basicOf = ({ user, password }: { user: string; password: string }): string =>
  Buffer.from(`${user}:${password}`).toString('base64');

/** What a surrounding git (a hook, an alias) or an editor has set for itself must not lead this one astray. */
const notOurs =
  /^(GIT_(DIR|WORK_TREE|INDEX_FILE|OBJECT_DIRECTORY|ALTERNATE.*|COMMON_DIR|NAMESPACE|PREFIX|EDITOR|SEQUENCE_EDITOR|PAGER|EXTERNAL_DIFF|TEMPLATE_DIR|EXEC_PATH|CONFIG|CONFIG_PARAMETERS|PROXY_COMMAND)|EDITOR|PAGER|PREFIX|SSH_ASKPASS)$/;

function gitIn(directory: string, repository: RepositoryUrl, signal: AbortSignal | undefined): SimpleGit {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env))
    if (value !== undefined && !notOurs.test(name)) environment[name] = value;
  environment.GIT_TERMINAL_PROMPT = '0';
  environment.LC_ALL = 'C.UTF-8'; // its messages are looked at
  environment.GIT_ALLOW_PROTOCOL = repository.local ? 'file:https:http:ssh:git' : 'https:http:ssh:git';
  if (environment.GIT_SSH_COMMAND === undefined && environment.GIT_SSH === undefined)
    environment.GIT_SSH_COMMAND = 'ssh -o BatchMode=yes';
  const settings: Record<string, string> = { 'http.lowSpeedLimit': '1', 'http.lowSpeedTime': '60' };
  if (repository.credentials)
    settings[`http.${new URL(repository.url).origin}/.extraHeader`] =
      `Authorization: Basic ${basicOf(repository.credentials)}`;
  // Settings by environment: arguments can be seen by every user of the machine.
  let count = Number(environment.GIT_CONFIG_COUNT ?? 0) || 0;
  for (const [key, value] of Object.entries(settings)) {
    environment[`GIT_CONFIG_KEY_${count}`] = key;
    environment[`GIT_CONFIG_VALUE_${count}`] = value;
    count++;
  }
  environment.GIT_CONFIG_COUNT = String(count);
  return simpleGit({
    baseDir: directory,
    ...(signal ? { abort: signal } : {}),
    // These are the user's own settings and ours; nothing of them comes out of the repository.
    unsafe: {
      allowUnsafeAskPass: true,
      allowUnsafeConfigEnvCount: true,
      allowUnsafeConfigPaths: true,
      allowUnsafeCredentialHelper: true,
      allowUnsafeSshCommand: true,
    },
  }).env(environment);
}
