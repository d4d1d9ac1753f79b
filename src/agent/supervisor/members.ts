/** Which processes an instance consists of, and how they are ended. */
import { readFileSync } from 'node:fs';
import { listDescendants, listProcesses, sendSignal, signalTree, type ProcessEntry } from '../../shared/processes.ts';
import type { Clock } from '../clock.ts';
import type { LimitGroup } from '../limits/port.ts';
import { nextProcesses } from '../process-table.ts';
import type { KeptRun } from '../runtimes/keeper.ts';

/** A variable in every app's environment, by which even a child that has cut all ties is recognised. */
export const cookieName = 'PAAS_INSTANCE_ID';

/** Processes of an instance, wrapping included, keeper and copiers not. */
export function membersOf(run: KeptRun, group: LimitGroup, table = listProcesses()): ProcessEntry[] {
  if (run.app === null) return [];
  const pids = new Set(group.pids());
  for (const entry of listDescendants(run.app, table)) pids.add(entry.pid);
  return table.filter((entry) => pids.has(entry.pid) && entry.state !== 'Z');
}

/**
 * Kills all processes of an instance, also those that have left its session, until none is left.
 * @returns false when some could not be killed within the time (a process that waits for a dead disk)
 */
export async function killMembers(
  instance: string,
  run: KeptRun,
  group: LimitGroup,
  clock: Clock,
  limitMs = 10_000,
): Promise<boolean> {
  const never = new AbortController().signal;
  const until = clock.monotonic() + limitMs;
  for (let pause = 1; ; pause = Math.min(pause * 2, 100)) {
    const table = await nextProcesses();
    const left = [...membersOf(run, group, table), ...strays(instance, group, table)];
    if (left.length === 0) return true;
    if (clock.monotonic() > until) return false;
    for (const { pid } of left) sendSignal(pid, 'SIGKILL');
    // What forks meanwhile.
    if (run.app !== null) signalTree(run.app, 'SIGKILL');
    for (const pid of group.pids()) sendSignal(pid, 'SIGKILL');
    await clock.sleep(pause, never);
  }
}

/**
 * Where no cgroup holds the instance: what carries its cookie, since a daemon's double fork leaves nothing else. Dear: reads
 * the environment of every process.
 */
export function strays(instance: string, group: LimitGroup, table = listProcesses()): ProcessEntry[] {
  if (group.join.length > 0) return [];
  const cookie = `${cookieName}=${instance}\0`;
  return table.filter(({ pid, state }) => pid !== process.pid && state !== 'Z' && environmentOf(pid).includes(cookie));
}

function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch {
    return ''; // ended meanwhile, or of another user and so not ours
  }
}
