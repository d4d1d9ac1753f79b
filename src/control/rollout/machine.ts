/**
 * The rollout machine, pure: what was decided and what is observed in, wanted counts out.
 *
 *   running ◄──► paused
 *      │  └──── all new instances healthy and routed ───► succeeded
 *      ├─ a new instance fails ─► failing ───► failed      (back to the old batch)
 *      └─ cancelled by someone ─► cancelling ► cancelled   (the same way back)
 *
 * New instances start beside the old ones, at most `maxInFlight` not yet healthy at a time; as many old ones leave as
 * new ones are healthy and known to the routers. Going back is the same movement with the roles exchanged. At no point
 * do fewer than the target number of healthy instances remain wanted (except with `recreate`). A canary rollout does
 * so in steps (canary.ts), and keeps the old batch whole until the last one.
 */
import { canaryCount } from './canary.ts';
import { sameBatch, type Batch, type ObservedInstance } from '../../engines/port.ts';

export interface RolloutInput {
  state: 'running' | 'paused' | 'cancelling' | 'failing';
  strategy: 'rolling' | 'recreate';
  maxInFlight: number;
  /** Of a canary rollout: the share of new instances that the step under way asks for, in percent. */
  canaryPercent?: number | undefined;
  /** Of a canary rollout: the share of the requests that the new release has now, in percent. */
  servedPercent?: number | undefined;
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
  /** Of a canary rollout before its last step: all instances of the step serve. */
  stepReached?: boolean;
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
  const paused = input.state === 'paused';
  const recreate = input.strategy === 'recreate';
  const percent = input.canaryPercent;
  const goal = (processType: string): number => {
    const target = input.newTargets[processType] ?? 0;
    return percent === undefined ? target : canaryCount(target, percent);
  };
  const types = processTypes(input).map((processType) => survey(input, processType, input.to));
  const behind = types.filter(({ processType, serving }) => serving.length < goal(processType));
  const wanted: Wanted[] = [];
  for (const type of types) {
    const { processType, staying, up, serving, others, othersRemain } = type;
    const target = goal(processType);
    const capacity = input.oldTargets[processType] ?? 0;
    // A process type that the new release no longer has serves until the rest of the release is up.
    const gone = input.newTargets[processType] === undefined && behind.length > 0;
    const needed = gone ? capacity : Math.min(capacity, target);
    // The old release takes the rest of the requests, and must be able to take all of them back at any moment.
    const whole = percent !== undefined && (paused || percent < 100 || behind.length > 0);
    if (paused && !whole) {
      const { fresh, ...keep } = hold(input, type, { target, capacity, needed });
      wanted.push({ ...input.to, processType, count: fresh }, ...keepOld(input, processType, others, keep));
      continue;
    }
    // The first release has nothing to be gentle with.
    const inFlight = input.from === null ? target : input.maxInFlight;
    // A share of the requests that the new release has, it has the instances for: paused or not.
    const shared = canaryCount(input.newTargets[processType] ?? 0, input.servedPercent ?? 0);
    const limit = paused
      ? (input.servedPercent ?? 0) > 0
        ? shared
        : 0
      : recreate
        ? othersRemain
          ? 0
          : target
        : serving.length + inFlight;
    // What was started is kept: it is only out of the routers' sight, or on its way back.
    wanted.push({ ...input.to, processType, count: Math.min(target, Math.max(limit, staying.length)) });
    const keep = whole
      ? { least: capacity, most: capacity }
      : recreate
        ? { least: 0, most: 0 }
        : { least: needed - up.length, most: needed - serving.length };
    wanted.push(...keepOld(input, processType, others, keep));
  }
  if (paused) return { wanted, state: 'paused', waitsFor: 'paused: `paas rollout continue` goes on' };
  if (behind.length === 0) {
    if (percent !== undefined && percent < 100) return { wanted, state: 'running', waitsFor: '', stepReached: true };
    return { wanted, state: 'succeeded', waitsFor: '' };
  }
  const waits = behind.map(({ processType, up, serving }) => {
    const unknown = up.length - serving.length;
    const routers = unknown === 0 ? '' : ` and known to every router, ${unknown} healthy only`;
    return `${processType}: ${serving.length} of ${goal(processType)} healthy${routers}`;
  });
  return { wanted, state: 'running', waitsFor: waits.join(', ') };
}

/**
 * Paused: the mix of old and new stays as it is. What is lost of either, and what a larger scale asks for, the old release
 * makes up for; what a smaller scale leaves too much, leaves both in proportion.
 */
function hold(
  input: RolloutInput,
  { staying, up, others }: ReturnType<typeof survey>,
  { target, capacity, needed }: { target: number; capacity: number; needed: number },
): { fresh: number; least: number; most: number } {
  // Two releases never run together: where one of the new has begun, the old ones are over.
  const begun = input.instances.some((i) => sameBatch(i, input.to) && !i.leaving);
  if (input.strategy === 'recreate' && begun) return { fresh: target, least: 0, most: 0 };
  const total = staying.length + others.length;
  const othersUp = others.filter(isUp).length;
  let fresh = Math.min(target, staying.length);
  let most = Infinity;
  // The one that stands in for another is no part of the mix.
  if (staying.some((i) => i.replacing)) fresh = Math.min(fresh, Math.max(1, needed - othersUp));
  if (others.some((i) => i.replacing)) most = needed - Math.min(fresh, up.length);
  // More than any rollout of this size has by itself.
  if (total > Math.max(capacity, target) + input.maxInFlight) {
    fresh = Math.min(fresh, Math.round((target * staying.length) / total));
    most = target - fresh;
  }
  const least = needed - Math.min(fresh, up.length);
  return { fresh, least, most: Math.max(least, most) };
}

function goBack(input: RolloutInput, state: 'cancelling' | 'failing'): RolloutDecision {
  const { wanted, waitsFor } = settle(input);
  if (waitsFor !== '') return { wanted, state, waitsFor: `going back: ${waitsFor}` };
  return { wanted, state: state === 'failing' ? 'failed' : 'cancelled', waitsFor: '' };
}

/**
 * What shall run so that `from` alone is there in full, however it came to be otherwise (a rollout that goes back, one
 * that was superseded): others serve until as many of `from` are healthy. `waitsFor` is empty when that is reached.
 */
export function settle(
  input: Pick<RolloutInput, 'strategy' | 'from' | 'oldTargets' | 'instances' | 'routed'>,
): Pick<RolloutDecision, 'wanted' | 'waitsFor'> {
  const { from } = input;
  const recreate = input.strategy === 'recreate';
  const present = input.instances.map((i) => i.processType);
  const wanted: Wanted[] = [];
  const waits: string[] = [];
  for (const processType of new Set([...Object.keys(input.oldTargets), ...present])) {
    const target = from ? (input.oldTargets[processType] ?? 0) : 0;
    const { staying, serving, others, othersRemain } = survey(input, processType, from);
    if (from) {
      const count = recreate && othersRemain ? Math.min(target, staying.length) : target;
      wanted.push({ ...from, processType, count });
    }
    const useful = recreate ? [] : others.filter(isUp);
    wanted.push(...spread(useful, processType, Math.max(0, target - serving.length)));
    // What cannot become healthy is not waited for: the agents go on trying.
    const hopeless = staying.filter((i) => failureOf(i) !== null).length;
    if (serving.length < target - hopeless)
      waits.push(`${processType}: ${serving.length} of ${target} of the old release healthy`);
  }
  return { wanted, waitsFor: waits.join(', ') };
}

const isUp = (i: ObservedInstance): boolean => i.state === 'healthy' && i.ready;

/** Where one process type stands, seen from one batch. */
function survey(input: Pick<RolloutInput, 'instances' | 'routed'>, processType: string, batch: Batch | null) {
  const all = input.instances.filter((i) => i.processType === processType);
  const ours = (i: ObservedInstance) => batch !== null && sameBatch(i, batch);
  const staying = all.filter((i) => ours(i) && !i.leaving);
  const up = staying.filter(isUp);
  return {
    processType,
    staying,
    up,
    serving: up.filter((i) => input.routed(i)),
    others: all.filter((i) => !ours(i) && !i.leaving),
    othersRemain: all.some((i) => !ours(i)),
  };
}

/**
 * Old capacity: the batch in force first; healthy instances of a superseded rollout count too. What is there stays
 * within these bounds: at least what is needed beside new instances that are up, at most what is needed beside those
 * that serve. In between nothing moves, so that routers out of sight make nothing start or leave.
 */
function keepOld(
  input: RolloutInput,
  processType: string,
  others: readonly ObservedInstance[],
  bounds: { least: number; most: number },
): Wanted[] {
  const { from } = input;
  const inForce = from ? others.filter((i) => sameBatch(i, from)).length : 0;
  const superseded = others.filter((i) => isUp(i) && !(from && sameBatch(i, from)));
  const keep = Math.max(0, Math.min(bounds.most, Math.max(bounds.least, inForce + superseded.length)));
  if (!from) return spread(superseded, processType, keep);
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

/** The first new instance that cannot become healthy or does not stay so, with the reason for people. */
function firstFailure(input: RolloutInput): { instance: ObservedInstance; reason: string } | null {
  for (const instance of input.instances) {
    if (!sameBatch(instance, input.to) || instance.leaving) continue;
    if ((input.newTargets[instance.processType] ?? 0) === 0) continue;
    const reason = failureOf(instance);
    if (reason !== null) return { instance, reason };
  }
  return null;
}

/** Why an instance will not become healthy; null while it still may. */
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
