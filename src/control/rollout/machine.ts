/**
 * The rollout machine, pure: what was decided and what is observed in, wanted counts out.
 *
 *   running ◄──► paused
 *      │  └──── all new instances healthy and routed ───► succeeded
 *      ├─ a new instance fails ─► failing ───► failed      (back to the old batch)
 *      └─ cancelled by someone ─► cancelling ► cancelled   (the same way back)
 *
 * New instances start beside the old ones, at most `maxInFlight` not yet healthy at a time; as many old ones leave as
 * new ones are healthy. Going back is the same movement with the roles exchanged. At no point do fewer than the target
 * number of healthy instances remain wanted (except with `recreate`).
 */
import { sameBatch, type Batch, type ObservedInstance } from '../../engines/port.ts';

export interface RolloutInput {
  state: 'running' | 'paused' | 'cancelling' | 'failing';
  strategy: 'rolling' | 'recreate';
  maxInFlight: number;
  /** null: the app's first release. */
  from: Batch | null;
  to: Batch;
  /** Wanted instances of the process types of the new and the old batch that are kept running (no cron, no task). */
  newTargets: Readonly<Record<string, number>>;
  oldTargets: Readonly<Record<string, number>>;
  /** Not ended instances of the app, of all batches. */
  instances: readonly ObservedInstance[];
  /** Ids that every router has in its table; null for instances without a route. */
  routed: (instance: ObservedInstance) => boolean;
}

export interface Wanted extends Batch {
  processType: string;
  count: number;
}

export interface RolloutDecision {
  wanted: Wanted[];
  state: 'running' | 'paused' | 'cancelling' | 'failing' | 'succeeded' | 'failed' | 'cancelled';
  /** One line for people: what the rollout waits for. */
  waitsFor: string;
  /** Set when the state turned to failing by this decision. */
  failure?: { instance: ObservedInstance; reason: string };
}

const crashesUntilFailure = 3;

export function decide(input: RolloutInput): RolloutDecision {
  const failure = input.state === 'running' || input.state === 'paused' ? firstFailure(input) : null;
  if (failure) return { ...decide({ ...input, state: 'failing' }), failure };
  if (input.state === 'cancelling' || input.state === 'failing') return goBack(input, input.state);
  return goOn(input);
}

function goOn(input: RolloutInput): RolloutDecision {
  const wanted: Wanted[] = [];
  const waits: string[] = [];
  const types = processTypes(input).map((processType) => survey(input, processType));
  for (const { processType, target, healthy } of types) {
    if (healthy < target) waits.push(`${processType}: ${healthy} of ${target} healthy`);
  }
  const complete = waits.length === 0;
  for (const { processType, target, healthy, fresh, others, oldRemains } of types) {
    const paused = input.state === 'paused';
    const recreate = input.strategy === 'recreate';
    // The first release has nothing to be gentle with.
    const inFlight = input.from === null ? target : input.maxInFlight;
    const limit = paused ? fresh : recreate ? (oldRemains ? 0 : target) : healthy + inFlight;
    wanted.push({ ...input.to, processType, count: Math.min(target, Math.max(limit, healthy)) });
    const capacity = input.oldTargets[processType] ?? 0;
    // A process type that the new release no longer has serves until the rest of the release is up.
    const gone = input.newTargets[processType] === undefined && !complete && !recreate;
    const keep = paused
      ? others.length
      : gone
        ? capacity
        : recreate
          ? 0
          : Math.max(0, Math.min(capacity, target) - healthy);
    wanted.push(...keepOld(input, processType, others, keep));
  }
  if (input.state === 'paused') return { wanted, state: 'paused', waitsFor: 'paused: `paas rollout continue` goes on' };
  if (!complete) return { wanted, state: 'running', waitsFor: waits.join(', ') };
  return { wanted, state: 'succeeded', waitsFor: '' };
}

/** Where one process type stands. */
function survey(input: RolloutInput, processType: string) {
  const all = input.instances.filter((i) => i.processType === processType);
  const fresh = all.filter((i) => sameBatch(i, input.to) && !i.leaving);
  return {
    processType,
    target: input.newTargets[processType] ?? 0,
    fresh: fresh.length,
    healthy: fresh.filter((i) => i.state === 'healthy' && i.ready && input.routed(i)).length,
    others: all.filter((i) => !sameBatch(i, input.to) && !i.leaving),
    oldRemains: all.some((i) => !sameBatch(i, input.to)),
  };
}

function goBack(input: RolloutInput, state: 'cancelling' | 'failing'): RolloutDecision {
  const wanted: Wanted[] = [];
  const waits: string[] = [];
  let complete = true;
  for (const processType of processTypes(input)) {
    const target = input.from ? (input.oldTargets[processType] ?? 0) : 0;
    const isOld = (i: ObservedInstance) => input.from !== null && sameBatch(i, input.from);
    const old = input.instances.filter((i) => i.processType === processType && isOld(i) && !i.leaving);
    const fresh = input.instances.filter((i) => i.processType === processType && !isOld(i) && !i.leaving);
    const healthy = old.filter((i) => i.state === 'healthy' && i.ready && input.routed(i)).length;
    if (input.from) wanted.push({ ...input.from, processType, count: target });
    // What serves goes on serving until the old instances are back; what failed is of no use to anyone.
    const useful = fresh.filter((i) => i.state === 'healthy' && i.ready && state === 'cancelling');
    const keep = Math.max(0, Math.min(useful.length, target - healthy));
    wanted.push(...spread(useful, processType, keep));
    if (healthy < target) {
      complete = false;
      waits.push(`${processType}: ${healthy} of ${target} of the old release healthy`);
    }
  }
  if (!complete) return { wanted, state, waitsFor: `going back: ${waits.join(', ')}` };
  return { wanted, state: state === 'failing' ? 'failed' : 'cancelled', waitsFor: '' };
}

/** Old capacity: the batch in force first; healthy instances of a superseded rollout count too. */
function keepOld(
  input: RolloutInput,
  processType: string,
  others: readonly ObservedInstance[],
  keep: number,
): Wanted[] {
  const { from } = input;
  if (!from) return spread(others, processType, keep);
  const superseded = others.filter((i) => !sameBatch(i, from) && i.state === 'healthy' && i.ready);
  const inForce = others.filter((i) => sameBatch(i, from)).length;
  const keepSuperseded = Math.max(0, Math.min(superseded.length, keep - inForce));
  return [{ ...from, processType, count: keep - keepSuperseded }, ...spread(superseded, processType, keepSuperseded)];
}

/** `keep` of these instances as counts by batch, newest batch first. */
function spread(instances: readonly ObservedInstance[], processType: string, keep: number): Wanted[] {
  const wanted: Wanted[] = [];
  const order = [...instances].sort((a, b) => b.release - a.release || b.epoch - a.epoch);
  for (const { release, epoch } of order.slice(0, keep)) {
    const entry = wanted.find((w) => sameBatch(w, { release, epoch }));
    if (entry) entry.count++;
    else wanted.push({ release, epoch, processType, count: 1 });
  }
  return wanted;
}

function processTypes(input: RolloutInput): string[] {
  const present = input.instances.map((i) => i.processType);
  return [...new Set([...Object.keys(input.newTargets), ...Object.keys(input.oldTargets), ...present])];
}

/** The first new instance that cannot become healthy, with the reason for people. */
function firstFailure(input: RolloutInput): { instance: ObservedInstance; reason: string } | null {
  for (const instance of input.instances) {
    if (!sameBatch(instance, input.to) || instance.leaving || instance.wasHealthy) continue;
    if ((input.newTargets[instance.processType] ?? 0) === 0) continue;
    const reason = failureOf(instance);
    if (reason !== null) return { instance, reason };
  }
  return null;
}

/** Why an instance that was never healthy will not become so; null while it still may. */
export function failureOf(instance: ObservedInstance): string | null {
  const { exit } = instance;
  if (!exit || instance.state === 'healthy') return null;
  if (exit.reason === 'startup-timeout' || exit.reason === 'start-failed')
    return exit.message ?? instance.message ?? exit.reason;
  // restarts counts starts after the first: the n-th crash is seen with n-1 restarts.
  const crashes = instance.restarts + (instance.state === 'crashed' ? 1 : 0);
  if (crashes < crashesUntilFailure) return null;
  if (exit.message) return exit.message;
  if (exit.reason === 'oom') return 'was killed for exceeding its memory limit';
  return exit.signal ? `ended by ${exit.signal}` : `exited with status ${exit.code ?? 'unknown'}`;
}
