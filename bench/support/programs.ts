/** Foreign programs: whether they are there, how long they take, what they cost. */
import { spawn, spawnSync, type ChildProcess, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { installation, userEnvironment } from '../../test/support/platform/cli.ts';

/** The CLI as `node` is given it. */
export const paasScript = `${installation}/bin/paas.js`;

export function isInstalled(program: string): boolean {
  return spawnSync('sh', ['-c', 'command -v "$1"', 'sh', program], { stdio: 'ignore' }).status === 0;
}

export interface RunOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Of standard input, output and error; the default keeps errors for the message. */
  stdio?: StdioOptions;
}

/** @returns the milliseconds that a program takes. @throws when it fails */
export function timed(
  command: string,
  args: readonly string[],
  { cwd = '/', env = {}, stdio }: RunOptions = {},
): number {
  const started = performance.now();
  const { status, stderr, error } = spawnSync(command, args, {
    cwd,
    env: { ...userEnvironment(), ...env },
    stdio: stdio ?? ['ignore', 'ignore', 'pipe'],
  });
  const took = performance.now() - started;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} fails: ${error?.message ?? String(stderr)}`);
  return took;
}

/** The same for a line of shell. */
export function timedShell(script: string, cwd: string): number {
  return timed('sh', ['-c', script], { cwd });
}

/** Writes out what others left in the page cache, so that they do not pay for it who come next. */
export function settleDisk(): void {
  timed('sync', []);
}

export class Running {
  readonly child: ChildProcess;
  readonly exited: Promise<unknown>;

  constructor(command: string, args: readonly string[], { cwd = '/', env = {}, stdio = 'ignore' }: RunOptions = {}) {
    this.child = spawn(command, args, { cwd, env: { ...userEnvironment(), ...env }, stdio });
    this.exited = once(this.child, 'exit');
    this.exited.catch(() => undefined);
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error('the program cannot be started');
    return this.child.pid;
  }

  kill(signal: NodeJS.Signals): boolean {
    return this.child.kill(signal);
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  server.close();
  await once(server, 'close');
  return address.port;
}

/** A field of /proc/PID/status, in MB: VmRSS now, VmHWM at most since `resetPeak`. */
export function memoryMb(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const kb = new RegExp(`^${field}:\\s*(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kb === undefined) throw new Error(`no ${field} of process ${pid}`);
  return Number(kb) / 1024;
}

/** Seconds of processor that a process has used so far. */
export function cpuSeconds(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const [user, system] = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
    .map(Number);
  return (user! + system!) / 100;
}
