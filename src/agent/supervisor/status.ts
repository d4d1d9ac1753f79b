/** An instance's status as it is reported. Pure. */
import type { InstanceStatus } from '../../shared/contracts/instances.ts';
import type { Usage } from '../limits/port.ts';
import type { HealthState } from './health.ts';
import type { InstanceRecord } from './record.ts';

export interface Shown {
  /** While it runs. */
  health: HealthState;
  stopping: boolean;
  /** Cores and MiB. */
  cpu: number;
  memoryMb: number;
}

/** The status of an instance out of its record and what is known only while it runs. */
export function statusOf(id: string, record: InstanceRecord, shown: Shown, address: string): InstanceStatus {
  const { running, port, exit, restarts } = record;
  const state = stateOf(record, shown.health.state);
  return {
    id,
    state,
    ready: state === 'healthy' && !shown.stopping,
    address: port === null ? null : address,
    port,
    startedAt: record.startedAt,
    restarts,
    message: running ? (shown.stopping ? 'stopping' : shown.health.message) : waitsFor(record, state),
    exit,
    cpu: running ? round(shown.cpu) : 0,
    memoryMb: running ? round(shown.memoryMb) : 0,
  };
}

function stateOf(record: InstanceRecord, health: HealthState['state']): InstanceStatus['state'] {
  if (record.running) return health;
  if (record.done) return record.exit?.code === 0 ? 'stopped' : 'crashed';
  if (!record.wanted) return 'stopped';
  // What shall run once is over for the control plane when it is `crashed`; here it will be tried again.
  if (record.delayed || record.spec.restart === 'never') return 'pending';
  return record.crashes > 0 ? 'crashed' : 'pending';
}

function waitsFor(record: InstanceRecord, state: InstanceStatus['state']): string | null {
  const { exit, crashes, nextStartAt, delayed } = record;
  if (state === 'pending' && delayed) return delayed.message;
  const why = exit?.message ?? null;
  if (state !== 'crashed' || nextStartAt === 0) return why;
  return `${why ?? 'crashed'} (${crashes} in a row, next start ${new Date(nextStartAt).toISOString()})`;
}

export interface Measured extends Usage {
  /** Cores in use since the measurement before. */
  cpu: number;
}

/** The next measurement; the counter of a new start begins at 0. */
export function measured(before: Usage, now: Usage, seconds: number): Measured {
  const used = Math.max(0, now.cpuSeconds - before.cpuSeconds);
  return { ...now, cpu: seconds > 0 ? used / seconds : 0 };
}

const round = (value: number): number => Math.round(value * 1000) / 1000;
