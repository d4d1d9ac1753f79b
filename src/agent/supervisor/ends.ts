/** What an end of a process means, and what follows from it. Pure. */
import { createHash } from 'node:crypto';
import type { InstanceExit, InstanceSpec } from '../../shared/contracts/instances.ts';
import type { ErrorCode, PaasError } from '../../shared/errors.ts';
import { absenceDelay, restartDelay, steadyMs } from './backoff.ts';
import type { InstanceRecord } from './record.ts';
import type { RunEnd } from './run.ts';

/** Why the supervisor ended a run, or `itself`; `unseen` where it did so while no agent was there. */
export type Cause =
  | { kind: 'itself' | 'unseen' }
  | { kind: 'oom' }
  | { kind: 'stop' | 'restart'; killed: boolean }
  | { kind: 'liveness' | 'startup-timeout' | 'foreign-port'; message: string };

/** The exit of a run as people and the control plane see it. */
export function exitOf(end: RunEnd, cause: Cause, spec: InstanceSpec, oomKilled: boolean, now: number): InstanceExit {
  const status = { code: end.exit?.code ?? null, signal: end.exit?.signal ?? null };
  const at = (end.exit?.at ?? new Date(now)).toISOString();
  const byItself = cause.kind === 'itself' || cause.kind === 'unseen';
  if (cause.kind === 'oom' || (byItself && oomKilled && status.code !== 0)) {
    return { ...status, at, reason: 'oom', message: `exceeded its memory limit of ${spec.memoryMb}M` };
  }
  if (cause.kind === 'stop' || cause.kind === 'restart') {
    if (!cause.killed) return { ...status, at, reason: 'stopped' };
    const message = `did not end within ${spec.graceMs / 1000} s of SIGTERM`;
    return { ...status, at, reason: 'killed', message };
  }
  if (cause.kind === 'liveness' || cause.kind === 'startup-timeout') {
    return { ...status, at, reason: cause.kind, message: cause.message };
  }
  if (cause.kind === 'foreign-port') return { ...status, at, reason: 'exited', message: cause.message };
  if (end.exit === null && end.complaint) return { ...status, at, reason: 'start-failed', message: end.complaint };
  if (end.exit === null) return { ...status, at, reason: 'unknown', message: 'its end was not seen' };
  return { ...status, at, reason: 'exited', message: describe(status) };
}

/** `exited with code 1`, `ended by SIGSEGV`. */
function describe({ code, signal }: Pick<InstanceExit, 'code' | 'signal'>): string {
  return signal === null ? `exited with code ${code ?? 0}` : `ended by ${signal}`;
}

/**
 * The record after a run's end. A crash, a failed probe and an end nobody asked for count alike, whatever the exit
 * code; a stop and a restart do not count, nor an end that no agent saw: a host that goes down in good order ends its apps
 * after its agent. A port that was another's counts from the fourth in a row on: then it is no accident.
 */
export function afterEnd(record: InstanceRecord, cause: Cause, exit: InstanceExit, now: number): InstanceRecord {
  const next = { ...record, running: false, healthy: false, exit, delayed: undefined, foreignPorts: undefined };
  if (cause.kind === 'stop') return { ...next, nextStartAt: 0 };
  const restarts = record.restarts + 1;
  if (cause.kind === 'foreign-port') {
    const foreignPorts = (record.foreignPorts ?? 0) + 1;
    const moved = { ...next, port: null, foreignPorts };
    const wait = restartDelay(foreignPorts);
    if (wait === 0) return { ...moved, nextStartAt: 0 };
    if (record.spec.restart === 'never') return { ...moved, done: true };
    return { ...moved, restarts, crashes: record.crashes + 1, nextStartAt: now + wait };
  }
  if (record.spec.restart === 'never' && cause.kind !== 'restart') return { ...next, done: true };
  if (cause.kind === 'restart') return { ...next, restarts, crashes: 0, nextStartAt: 0 };
  if (cause.kind === 'unseen') return { ...next, restarts, nextStartAt: 0 };
  return { ...next, restarts, ...countCrash(record, now) };
}

/** What a start fails with while the control plane is out of reach. */
const absence: readonly ErrorCode[] = ['unavailable', 'timeout'];

/**
 * The record after a start that failed before the app's first instruction. Where only the control plane was out of reach,
 * nothing is wrong with the app: that is no crash, and never final.
 */
export function afterFailedStart(
  record: InstanceRecord,
  { code, message, hint }: PaasError,
  final: boolean,
  now: number,
): InstanceRecord {
  const next = { ...record, running: false, healthy: false };
  if (absence.includes(code)) {
    const tries = (record.delayed?.tries ?? 0) + 1;
    return { ...next, delayed: { message, tries }, nextStartAt: now + absenceDelay(tries) };
  }
  const exit: InstanceExit = {
    code: null,
    signal: null,
    reason: 'start-failed',
    at: new Date(now).toISOString(),
    message,
    failure: { code, hint },
  };
  const failed = { ...next, exit, delayed: undefined };
  return final ? { ...failed, done: true } : { ...failed, ...countCrash(failed, now) };
}

function countCrash(record: InstanceRecord, now: number): Pick<InstanceRecord, 'crashes' | 'nextStartAt'> {
  const steady = record.healthy && now - Date.parse(record.startedAt ?? '') >= steadyMs;
  const crashes = steady ? 1 : record.crashes + 1;
  return { crashes, nextStartAt: now + restartDelay(crashes) };
}

/** Fingerprint of all that a process cannot be given while it runs: where it differs, a new start is needed. */
export function startKey(spec: InstanceSpec): string {
  const env = Object.entries(spec.env).sort(([a], [b]) => (a < b ? -1 : 1));
  const { image, command, memoryMb, cpu, runtime, kind, restartToken } = spec;
  const parts = [image.tree, image.base.digest, command, env, memoryMb, cpu, runtime, kind, restartToken];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/** The record of what ran when the host went down: started again at once, unless it shall run only once. */
export function afterHostRestart(record: InstanceRecord, now: number): InstanceRecord {
  const at = new Date(now).toISOString();
  const exit: InstanceExit = { code: null, signal: null, reason: 'unknown', at, message: 'the host was restarted' };
  const done = record.spec.restart === 'never' && record.wanted;
  return { ...record, running: false, healthy: false, done, crashes: 0, nextStartAt: 0, exit, delayed: undefined };
}
