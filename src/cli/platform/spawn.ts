/** The only place of the CLI that starts processes: the platform's own programs, and the browser. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, renameSync, statSync } from 'node:fs';
import { errnoOf, PaasError } from '../../shared/errors.ts';
import { processIdentity, type ProcessIdentity } from '../../shared/processes.ts';

const rotateAt = 10 * 1024 * 1024;

export interface Program {
  script: string;
  args: string[];
  /** Its directory; not the one where the user happens to be, which may be removed. */
  cwd: string;
  env: NodeJS.ProcessEnv;
}

/**
 * The environment of a program of the platform: the user's, without the CLI's own variables, some of which are secret.
 * NODE_EXTRA_CA_CERTS costs every start of node 38 ms and matters to builds alone, so it travels under another name.
 */
export function programEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const result = Object.fromEntries(
    Object.entries(env).filter(([name]) => !name.startsWith('PAAS_') && name !== 'NODE_EXTRA_CA_CERTS'),
  );
  const certificates = env['NODE_EXTRA_CA_CERTS'] ?? env['PAAS_HOST_EXTRA_CA_CERTS'];
  return certificates === undefined ? result : { ...result, PAAS_HOST_EXTRA_CA_CERTS: certificates };
}

export interface Started {
  identity: ProcessIdentity;
  /** How it ended, once it has. */
  exit: () => { code: number | null; signal: NodeJS.Signals | null } | null;
}

/** Starts a program that outlives this one; its output goes to `log`, which is rotated when it has grown large. */
export function startDetached(program: Program, log: string): Started {
  rotate(log);
  const fd = openSync(log, 'a', 0o600);
  try {
    const child = start(program, ['ignore', fd, fd], true);
    child.unref();
    return started(child, program);
  } finally {
    closeSync(fd);
  }
}

/** Starts a program whose output is ours; resolves `ended` with its exit code. */
export function startAttached(program: Program): Started & { ended: Promise<number>; terminate: () => void } {
  const child = start(program, ['ignore', 'inherit', 'inherit'], false);
  const ended = once(child, 'exit').then(([code]) => (typeof code === 'number' ? code : 1));
  return { ...started(child, program), ended, terminate: () => void child.kill('SIGTERM') };
}

function start(
  { script, args, cwd, env }: Program,
  stdio: ('ignore' | 'inherit' | number)[],
  detached: boolean,
): ChildProcess {
  return spawn(process.execPath, [script, ...args], { cwd, env, stdio, detached, windowsHide: true });
}

function started(child: ChildProcess, program: Program): Started {
  // Without a listener, a failed start would end this program; that it failed is seen by its missing pid.
  child.on('error', () => undefined);
  const identity = child.pid === undefined ? null : processIdentity(child.pid);
  if (identity === null && child.pid === undefined)
    throw new PaasError('internal', `${program.script} cannot be started.`);
  return {
    identity: identity ?? { pid: child.pid ?? 0, startTime: 'ended', bootId: 'ended' },
    exit: () =>
      child.exitCode === null && child.signalCode === null ? null : { code: child.exitCode, signal: child.signalCode },
  };
}

function rotate(log: string): void {
  try {
    if (statSync(log).size > rotateAt) renameSync(log, `${log}.1`);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

/** Opens a URL in the user's browser. @throws PaasError unsupported when there is none */
export async function openInBrowser(url: string, env: NodeJS.ProcessEnv): Promise<void> {
  const opener = process.platform === 'darwin' ? 'open' : 'xdg-open';
  const failed = (cause?: unknown): PaasError =>
    new PaasError('unsupported', `There is no browser to open ${url} in.`, {
      hint: 'Open the address by hand.',
      cause,
    });
  const child = spawn(opener, [url], { stdio: 'ignore', env, detached: true });
  child.unref();
  await new Promise<void>((resolve, reject) => {
    // An opener that is still there after a while has a browser in its hands.
    const patience = setTimeout(resolve, 2000);
    child.once('error', (error) => {
      clearTimeout(patience);
      reject(failed(error));
    });
    child.once('exit', (code) => {
      clearTimeout(patience);
      if (code === 0) resolve();
      else reject(failed());
    });
  });
}
