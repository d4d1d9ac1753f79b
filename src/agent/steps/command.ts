/** One command of a build: under a keeper, with its limits, until it and all it started has ended. */
import { join } from 'node:path';
import {
  bootId,
  isAlive,
  listDescendants,
  listProcesses,
  signalTree,
  type ProcessIdentity,
} from '../../shared/processes.ts';
import { watchDirectory } from '../directory-watch.ts';
import type { LimitGroup } from '../limits/port.ts';
import { exactMemoryMb } from '../limits/watch.ts';
import { isDrained, readRun, startKept } from '../runtimes/keeper.ts';
import type { Owner, RuntimeCommand } from '../runtimes/port.ts';

export interface CommandOptions {
  /** Holds `run/` and `logs/`, as an instance directory does. */
  directory: string;
  owner: Owner;
  scriptDirectory: string;
  group: LimitGroup;
  /** Set: enforce this limit by looking, since the kernel does not. */
  watchMemoryMb: number | undefined;
  /** Aborted with the reason to stop: cancelled, or out of time. */
  signal: AbortSignal;
}

export interface CommandEnd {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** It was killed for memory. */
  oom: boolean;
}

/** SIGTERM to SIGKILL for a build that is stopped. */
const graceMs = 3000;
const askMs = 100;
const memoryLookMs = 500;

/** Runs a command to its end. Resolves also when it was stopped by `signal`; the caller knows. */
export async function runCommand(command: RuntimeCommand, options: CommandOptions): Promise<CommandEnd> {
  const { directory, group, signal } = options;
  const oomBefore = group.oomKills();
  let overLimit = false as boolean;
  await startKept(directory, command, {
    owner: options.owner,
    join: group.join,
    scriptDirectory: options.scriptDirectory,
  });
  await new Promise<void>((resolve) => {
    const timers: NodeJS.Timeout[] = [];
    const look = () => {
      const run = readRun(directory, bootId());
      if (run.exit === null && !(run.keeper && !isAlive(run.keeper))) return;
      for (const timer of timers) clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      unwatch();
      resolve();
    };
    const stop = () => {
      // Again and again: a process that was just being made when the others got it has not had it.
      const ask = () => signalRun(directory, 'SIGTERM');
      ask();
      timers.push(setInterval(ask, askMs));
      timers.push(setTimeout(() => signalRun(directory, 'SIGKILL'), graceMs));
    };
    const unwatch = watchDirectory(join(directory, 'run'), look, { pollMs: 250, fallbackMs: 25 });
    const { watchMemoryMb } = options;
    if (watchMemoryMb !== undefined) {
      const check = () => {
        const app = readRun(directory, bootId()).app;
        if (!app || exactMemoryMb(listDescendants(app)) <= watchMemoryMb) return;
        overLimit = true;
        signalRun(directory, 'SIGKILL');
      };
      timers.push(setInterval(check, memoryLookMs));
    }
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    look();
  });
  await endRun(directory, group);
  const { exit } = readRun(directory, bootId());
  return { code: exit?.code ?? null, signal: exit?.signal ?? null, oom: overLimit || group.oomKills() > oomBefore };
}

/** Kills what a command left running, so that its output is whole and nothing changes the files any more. */
export async function endRun(directory: string, group?: LimitGroup): Promise<void> {
  for (let attempt = 0; attempt < 400; attempt++) {
    signalRun(directory, 'SIGKILL');
    // Those that left both the session and their parents are still in the cgroup.
    for (const identity of strays(group)) signalTree(identity, 'SIGKILL');
    if (isDrained(readRun(directory, bootId()))) return;
    await new Promise((resolve) => setTimeout(resolve, 5 + attempt));
  }
}

/** The app's own tree; the keeper is spared, since it writes down how the app ended. */
function signalRun(directory: string, signal: NodeJS.Signals): void {
  const { app } = readRun(directory, bootId());
  if (app) signalTree(app, signal);
}

function strays(group: LimitGroup | undefined): ProcessIdentity[] {
  const pids = new Set(group?.pids() ?? []);
  if (pids.size === 0) return [];
  return listProcesses()
    .filter(({ pid }) => pids.has(pid))
    .map(({ pid, startTime }) => ({ pid, startTime, bootId: bootId() }));
}
