/** One start of an instance, from its files: waiting for its end, and bringing it about. */
import { isAlive, listDescendants, sendSignal, signalTree, type ProcessEntry } from '../../shared/processes.ts';
import path from 'node:path';
import type { Clock } from '../clock.ts';
import { watchDirectory } from '../directory-watch.ts';
import type { LimitGroup } from '../limits/port.ts';
import { nextProcesses } from '../process-table.ts';
import { isDrained, isStuck, keeperComplaint, readRun, type KeptRun } from '../runtimes/keeper.ts';
import type { Runtime } from '../runtimes/port.ts';
import { eitherSignal } from '../signals.ts';
import { killMembers, membersOf, strays } from './members.ts';

/** How a run ended; `exit` is null where nobody saw it (the keeper was killed, the machine went down). */
export type RunEnd = Pick<KeptRun, 'exit'> & {
  /** Why the app was not even started. */
  complaint?: string;
};

export interface RunOptions {
  instance: string;
  directory: string;
  bootId: string;
  group: LimitGroup;
  runtime: Runtime;
  clock: Clock;
  /** The agent goes: whatever is waited for, the next agent takes it up. */
  abandoned: AbortSignal;
  /** It was begun by an earlier agent. */
  inherited: boolean;
}

/** A run that is over, with nothing of it left. */
export interface RunResult extends RunEnd {
  /** Whether SIGTERM was not enough. */
  killed: boolean;
  /** The kernel's count of processes killed for memory. */
  oomKills: number;
}

/** How long a keeper that another agent started may take to write its first file, ms. */
const keeperMs = 2000;

export class Run {
  readonly #options: RunOptions;
  /** By the clock, and by its monotonic. */
  readonly #attachedAt: { date: number; tick: number };
  /** It ended while no agent was there: the host went down with it, as far as anyone can tell. */
  readonly unseen: boolean;
  #kept: KeptRun = { keeper: null, app: null, exit: null };

  constructor(options: RunOptions) {
    this.#options = options;
    this.#attachedAt = { date: options.clock.now(), tick: options.clock.monotonic() };
    this.unseen = options.inherited && this.#endNow() !== undefined;
  }

  get group(): LimitGroup {
    return this.#options.group;
  }

  /** The pid of the app's first process, as the host sees it; null until it runs. */
  get app(): number | null {
    return this.#look().app?.pid ?? null;
  }

  /** ms since its start, given by the date: the clock may be set, or the machine sleep, without the run growing old. */
  age(startedAt: number): number {
    const { date, tick } = this.#attachedAt;
    return Math.max(0, date - startedAt) + this.#options.clock.monotonic() - tick;
  }

  /** Processes of the instance, see `membersOf`. */
  members(table?: ProcessEntry[]): ProcessEntry[] {
    return membersOf(this.#look(), this.#options.group, table);
  }

  /** Processes that have cut all ties to it, see `strays`. */
  strays(): ProcessEntry[] {
    return strays(this.#options.instance, this.#options.group);
  }

  /** Resolves when the first process has ended or nobody is left who could tell; null when the signal comes first. */
  ended(signal: AbortSignal): Promise<RunEnd | null> {
    return new Promise((resolve) => {
      const look = (): void => {
        const end = signal.aborted ? null : this.#endNow();
        if (end === undefined) return;
        unwatch();
        signal.removeEventListener('abort', look);
        resolve(end);
      };
      const unwatch = watchDirectory(path.join(this.#options.directory, 'run'), look, {
        pollMs: 2000,
        fallbackMs: 200,
      });
      signal.addEventListener('abort', look);
      look();
    });
  }

  /**
   * Stops it: SIGTERM to all of the app's processes, SIGKILL to what is left after the grace period.
   * @returns null when it was abandoned on the way
   */
  async stop(graceMs: number): Promise<RunResult | null> {
    const { clock, abandoned } = this.#options;
    // The first process may end before those that still work (a shell before its server): all have the same time.
    const grace = new AbortController();
    const over = eitherSignal(abandoned, grace.signal);
    const timer = clock.sleep(graceMs, over).then(() => grace.abort());
    while (!over.aborted && this.#endNow() === undefined && this.#look().app === null) await clock.sleep(5, over);
    const asking = this.#askToEnd(over);
    await this.ended(grace.signal);
    let left = this.members(await nextProcesses());
    for (let pause = 10; left.length > 0 && !over.aborted; pause *= 1.5) {
      await clock.sleep(Math.min(pause, 200), over);
      left = this.members(await nextProcesses());
    }
    grace.abort();
    await Promise.all([timer, asking]);
    if (abandoned.aborted) return null;
    const killed = left.length > 0;
    return { ...(await this.clear()), killed };
  }

  /** Kills what is left of it, and waits until its output is in the files. */
  async clear(): Promise<RunResult> {
    const { clock, group, instance } = this.#options;
    const never = new AbortController().signal;
    // Before it starts the app after all.
    const starting = this.#look();
    if (starting.app === null && starting.exit === null && starting.keeper) signalTree(starting.keeper, 'SIGKILL');
    await killMembers(instance, this.#look(), group, clock);
    const since = clock.monotonic();
    for (let pause = 1; !isDrained(this.#look()); pause *= 1.5) {
      if (isStuck(this.#look(), clock.monotonic() - since)) break;
      await clock.sleep(Math.min(pause, 100), never);
    }
    const { keeper, exit } = this.#look();
    if (keeper !== null && listDescendants(keeper, await nextProcesses()).length > 0) signalTree(keeper, 'SIGKILL');
    const oomKills = group.oomKills();
    group.remove();
    const complaint = this.app === null ? keeperComplaint(this.#options.directory) : '';
    return { exit, complaint, killed: false, oomKills };
  }

  /**
   * Sends SIGTERM to all of the app's processes, once each. What is being started has nobody in it yet who would hear, so
   * its first process may follow; and what was just being forked is left when that one is gone. What the app begins
   * because it was asked is let alone while its first process lives. That one is looked for once: the wrapping may have
   * other children afterwards.
   */
  async #askToEnd(over: AbortSignal): Promise<void> {
    const { runtime, clock } = this.#options;
    const asked = new Set<number>();
    let first: number | undefined;
    for (let pause = 5; !over.aborted; pause = Math.min(pause * 1.5, 200)) {
      const app = this.#look().app?.pid;
      if (app === undefined) return;
      const members = this.members(await nextProcesses());
      first ??= runtime.firstProcess(members, app)?.pid;
      const alive = members.filter(({ pid }) => pid === first);
      const all = asked.size === 0 || (first !== undefined && alive.length === 0);
      for (const { pid } of all ? runtime.appProcesses(members, app) : alive) {
        if (asked.has(pid)) continue;
        asked.add(pid);
        sendSignal(pid, 'SIGTERM');
        sendSignal(pid, 'SIGCONT'); // a stopped process would take note of nothing
      }
      await clock.sleep(pause, over);
    }
  }

  #look(): KeptRun {
    const { directory, bootId } = this.#options;
    if (this.#kept.exit === null) this.#kept = readRun(directory, bootId);
    return this.#kept;
  }

  #endNow(): RunEnd | undefined {
    const { keeper, exit } = this.#look();
    if (exit !== null) return { exit };
    if (keeper !== null) return isAlive(keeper) ? undefined : { exit: this.#lastLook() };
    return this.#options.clock.monotonic() - this.#attachedAt.tick > keeperMs ? { exit: null } : undefined;
  }

  /** The keeper may have written the status between the two looks. */
  #lastLook(): KeptRun['exit'] {
    return this.#look().exit;
  }
}
