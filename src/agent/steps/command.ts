/** One command of a build: under a keeper, with its limits, until it and all it started has ended. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bootId, isAlive, listDescendants, signalTree } from '../../shared/processes.ts';
import { systemClock } from '../clock.ts';
import { watchDirectory } from '../directory-watch.ts';
import type { LimitGroup } from '../limits/port.ts';
import { exactMemoryMb } from '../limits/watch.ts';
import { isDrained, isStuck, readRun, startKept } from '../runtimes/keeper.ts';
import type { Owner, RuntimeCommand } from '../runtimes/port.ts';
import { cookieName, killMembers } from '../supervisor/members.ts';

export interface CommandOptions {
  /** Of the step. */
  id: string;
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
  const { id, directory, group, signal } = options;
  const oomBefore = group.oomKills();
  let overLimit = false as boolean;
  const marked = { ...command, env: { ...command.env, [cookieName]: id } };
  await startKept(directory, marked, {
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
  await endRun(id, directory, group);
  const { exit } = readRun(directory, bootId());
  return { code: exit?.code ?? null, signal: exit?.signal ?? null, oom: overLimit || group.oomKills() > oomBefore };
}

/**
 * Kills what a command left running, so that its output is whole and nothing changes the files any more. Whoever gets
 * away all the same keeps a pipe open: then the copiers are ended, too.
 */
export async function endRun(id: string, directory: string, group: LimitGroup): Promise<void> {
  const look = () => readRun(directory, bootId());
  const since = systemClock.monotonic();
  for (let pause = 1; ; pause = Math.min(pause * 1.5, 100)) {
    await killMembers(id, look(), group, systemClock);
    if (isDrained(look()) || isStuck(look(), systemClock.monotonic() - since)) break;
    await sleep(pause);
  }
  const { keeper } = look();
  if (keeper) signalTree(keeper, 'SIGKILL');
}

/** The app's own tree; the keeper is spared, since it writes down how the app ended. */
function signalRun(directory: string, signal: NodeJS.Signals): void {
  const { app } = readRun(directory, bootId());
  if (app) signalTree(app, signal);
}
