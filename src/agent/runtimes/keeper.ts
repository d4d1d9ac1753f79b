/**
 * Keeper: what makes an agent's death harmless to instances. It starts the app, copies its output to files and writes
 * down its exit status (see scripts.ts). The agent only reads files, so any agent can take over at any time.
 *
 * In the instance's `run/` directory: `keeper`, `app` (their lines of /proc/PID/stat), `copiers`, `exit`, `keeper.log`;
 * in `logs/`: `stdout.log`, `stderr.log`, which only ever grow.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { errnoOf } from '../../shared/errors.ts';
import { isAlive, listDescendants, processIdentity, type ProcessIdentity } from '../../shared/processes.ts';
import { bareEnvironment, openEnvironment } from './environment.ts';
import type { Owner, RuntimeCommand } from './port.ts';
import { keeperScript } from './scripts.ts';

/** Where the streams of an instance are kept. */
export const logFile = (directory: string, stream: 'stdout' | 'stderr'): string =>
  path.join(directory, 'logs', `${stream}.log`);

/** What the files say about the last start of an instance; `exit` is null while the app runs. */
export interface KeptRun {
  keeper: ProcessIdentity | null;
  app: ProcessIdentity | null;
  exit: { code: number | null; signal: NodeJS.Signals | null; at: Date } | null;
}

/** Keepers of this agent by directory, while they run: on a slow machine one may take long to write down who it is. */
const started = new Map<string, ProcessIdentity>();

/**
 * Starts a command under a keeper of its own and returns as soon as the keeper runs.
 * @param directory the instance directory; `run/` and `logs/` are made in it
 * @param join cgroup.procs files that the app joins before its first instruction
 */
export async function startKept(
  directory: string,
  command: RuntimeCommand,
  options: { owner: Owner; join: readonly string[]; scriptDirectory: string },
): Promise<void> {
  const run = path.join(directory, 'run');
  mkdirSync(run, { recursive: true, mode: 0o700 });
  mkdirSync(path.join(directory, 'logs'), { recursive: true, mode: 0o700 });
  const logs = [logFile(directory, 'stdout'), logFile(directory, 'stderr')];
  for (const log of logs) endLine(log);
  for (const name of ['keeper', 'app', 'copiers', 'exit']) {
    writeFileSync(path.join(run, name), ' '.repeat(512), { mode: 0o600 });
  }
  const script = installScript(options.scriptDirectory);
  const owner = options.owner === null ? '-' : `${options.owner.uid}:${options.owner.gid}`;
  const args = [script, 'keep', run, owner, ...logs, ...options.join, '--', ...command.argv];
  const fd = openEnvironment(command.env);
  const keeperLog = openSync(path.join(run, 'keeper.log'), 'w', 0o600);
  try {
    const keeper = spawn('/bin/sh', args, {
      detached: true,
      cwd: '/',
      env: bareEnvironment,
      stdio: ['ignore', 'ignore', keeperLog, fd],
    });
    await once(keeper, 'spawn');
    keeper.unref();
    const identity = keeper.pid === undefined ? null : processIdentity(keeper.pid);
    if (identity === null) return;
    started.set(directory, identity);
    keeper.once('exit', () => started.get(directory) === identity && started.delete(directory));
  } finally {
    closeSync(fd);
    closeSync(keeperLog);
  }
}

/**
 * What is known of the last start: from its files, and before they are written from who started it.
 * @param startedBoot the boot id when it was started; identities of another boot are never alive
 */
export function readRun(directory: string, startedBoot: string): KeptRun {
  const run = path.join(directory, 'run');
  const identity = (name: string): ProcessIdentity | null => {
    const line = firstLine(path.join(run, name));
    if (line === null) return null;
    const startTime = line.slice(line.lastIndexOf(')') + 2).split(' ')[22 - 3] ?? '';
    return { pid: Number.parseInt(line, 10), startTime, bootId: startedBoot };
  };
  const status = firstLine(path.join(run, 'exit'));
  const exit = status === null ? null : { ...exitOf(Number(status)), at: statSync(path.join(run, 'exit')).mtime };
  return { keeper: identity('keeper') ?? started.get(directory) ?? null, app: identity('app'), exit };
}

/** What a keeper said that could not even start the app; '' when nothing. */
export function keeperComplaint(directory: string): string {
  return readOptional(path.join(directory, 'run', 'keeper.log'))
    .slice(0, 2000)
    .trim();
}

/** Whether all output of the last start is in the log files. */
export function isDrained(run: KeptRun): boolean {
  return run.keeper === null || !isAlive(run.keeper);
}

/** How long to wait for the rest of the output once nobody is left who writes, ms: for copiers that sleep, and at all. */
const drainMs = 2000;
const longestDrainMs = 15_000;

/**
 * Whether the rest of the output is to be waited for no longer. Copiers that sleep have nothing left to copy, or no disk:
 * somebody who got away keeps the pipe open. All others only lack their turn, on a machine that does too much.
 * @param waitedMs how long it was waited for
 */
export function isStuck({ keeper }: KeptRun, waitedMs: number): boolean {
  if (waitedMs <= drainMs || keeper === null) return false;
  return waitedMs > longestDrainMs || listDescendants(keeper).every(({ state }) => state === 'S');
}

/** Pids of the two processes that copy the output. */
export function copierPids(directory: string): number[] {
  return (
    firstLine(path.join(directory, 'run', 'copiers'))
      ?.split(' ')
      .map(Number) ?? []
  );
}

/**
 * A shell's exit status as code or signal. Shells report a signal as 128 + its number, so a program that exits with
 * 129 … 159 by itself is taken for signalled; those are the codes that programs use to say just that.
 */
export function exitOf(status: number): { code: number | null; signal: NodeJS.Signals | null } {
  const number = status - 128;
  const known = Object.entries(constants.signals).find(([, value]) => value === number);
  return known ? { code: null, signal: known[0] as NodeJS.Signals } : { code: status, signal: null };
}

/** Ends the last line of an earlier start, so that the next one begins on a line of its own. */
function endLine(log: string): void {
  const fd = openSync(log, 'a+', 0o600);
  try {
    const last = Buffer.alloc(1);
    const { size } = fstatSync(fd);
    if (size > 0 && readSync(fd, last, 0, 1, size - 1) === 1 && last[0] !== 10) writeSync(fd, '\n');
  } finally {
    closeSync(fd);
  }
}

function firstLine(file: string): string | null {
  const text = readOptional(file);
  const end = text.indexOf('\n');
  return end < 0 ? null : text.slice(0, end).trim();
}

function readOptional(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return '';
    throw error;
  }
}

/** Writes the keeper's script, which never changes within a version of the agent; its path. */
export function installScript(directory: string): string {
  const file = path.join(directory, 'keeper.sh');
  if (readOptional(file) !== keeperScript) {
    // Renamed into place: a shell reads its script while it runs, so the old file must stay as it is.
    writeFileSync(`${file}.new`, keeperScript, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }
  return file;
}
