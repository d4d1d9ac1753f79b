/** Watching a run until something is to be done about it. */
import type { Clock } from '../clock.ts';
import { watchHealth, type HealthEnd, type HealthState, type HealthTarget } from './health.ts';
import type { InstanceRecord } from './record.ts';
import type { Run, RunEnd } from './run.ts';

/** How long a worker must live to count as healthy, ms: what ends at once never was. */
const settleMs = 1000;

/**
 * Waits for the run's end, for failed probes or for an interrupt, whichever comes first.
 * @returns the end or the failure; both null when it was interrupted
 * @throws what kept the probes from looking at a run that goes on (no descriptors left)
 */
export async function watchRun(
  run: Pick<Run, 'ended'>,
  target: HealthTarget,
  clock: Clock,
  interrupt: AbortSignal,
  report: (state: HealthState) => void,
): Promise<{ end: RunEnd | null; failure: HealthEnd | null }> {
  const attention = new AbortController();
  const stop = (): void => attention.abort();
  interrupt.addEventListener('abort', stop);
  if (interrupt.aborted) stop();
  const ended = run.ended(attention.signal).finally(stop);
  const sick = watchHealth(target, clock, attention.signal, report).finally(stop);
  sick.catch(() => undefined); // heard of below, unless the run has ended
  try {
    const end = await ended;
    return { end, failure: end === null ? await sick : null };
  } finally {
    interrupt.removeEventListener('abort', stop);
  }
}

/** What the probes of a run look at. */
export function targetOf(record: InstanceRecord, address: string, run: Run): HealthTarget {
  const { spec, port, healthy, startedAt } = record;
  return {
    health: spec.health,
    address,
    port: spec.health.type === 'process' ? null : port,
    age: () => run.age(Date.parse(startedAt ?? '')),
    healthy,
    settleMs: spec.restart === 'never' ? 0 : settleMs,
    pids: () => run.members().map((entry) => entry.pid),
    strays: () => run.strays().map((entry) => entry.pid),
  };
}
