import { describe, expect, it } from 'vitest';
import {
  advanceCanary,
  canaryCount,
  newCanary,
  nextStep,
  servedPercent,
  waitText,
  wantedPercent,
} from '../../../../src/control/rollout/canary.ts';
import { decide, type RolloutInput } from '../../../../src/control/rollout/machine.ts';
import { observedInstance as instance, type Inhabitant } from './world.ts';

const v1 = { release: 1, epoch: 0 };
const v2 = { release: 2, epoch: 0 };

describe('the steps of a canary', () => {
  it('end with all of the requests', () => {
    expect(newCanary({}).steps).toEqual([5, 25, 50, 100]);
    expect(newCanary({ steps: [10] }).steps).toEqual([10, 100]);
    expect(newCanary({ steps: [10, 100] }).steps).toEqual([10, 100]);
  });

  it('give requests to the new release only when the instances of the step serve', () => {
    let canary = newCanary({ steps: [10, 50], waitMs: 1000 });
    const seen: string[] = [];
    for (let now = 0, guard = 0; guard < 20; guard++, now += 500) {
      seen.push(`${wantedPercent(canary)}/${servedPercent(canary)}`);
      canary = advanceCanary(canary, true, now) ?? canary;
    }
    expect([...new Set(seen)]).toEqual(['10/0', '10/10', '50/10', '50/50', '100/50', '100/100']);
  });

  it('wait until all instances serve, and never go on without them', () => {
    const canary = newCanary({ waitMs: 0 });
    expect(advanceCanary(canary, false, 1e12)).toBeNull();
    expect(advanceCanary(canary, true, 5)).toEqual({ ...canary, reachedAt: 5 });
  });

  it('wait for a person where they are manual', () => {
    const reached = advanceCanary(newCanary({ manual: true, waitMs: 5 }), true, 5)!;
    expect(advanceCanary(reached, true, 1e12)).toBeNull();
    expect(waitText(reached)).toContain('`paas rollout continue`');
    expect(nextStep(reached)).toMatchObject({ step: 1, reachedAt: null });
    expect(nextStep({ ...reached, step: 3 })).toBeNull();
  });

  it('ask for one instance at least, and never for more than there shall be', () => {
    expect([1, 5, 50, 99, 100].map((percent) => canaryCount(10, percent))).toEqual([1, 1, 5, 10, 10]);
    expect(canaryCount(1, 5)).toBe(1);
    expect(canaryCount(0, 100)).toBe(0);
  });
});

describe('a canary rollout', () => {
  const old = (n: number): Inhabitant => instance(`old${n}`, { ...v1, ordinal: n });
  const fresh = (n: number): Inhabitant => instance(`new${n}`, { ...v2, ordinal: n });
  const four = [old(1), old(2), old(3), old(4)];
  const input = (instances: Inhabitant[], change: Partial<RolloutInput> = {}): RolloutInput => ({
    ...{ state: 'running', strategy: 'rolling', maxInFlight: 1, from: v1, to: v2, instances, canaryPercent: 50 },
    ...{ oldTargets: { web: 4 }, newTargets: { web: 4 }, routed: (i) => (i as Inhabitant).routed },
    ...change,
  });
  const words = (rollout: RolloutInput): string[] =>
    decide(rollout).wanted.flatMap((w) => (w.count === 0 ? [] : [`v${w.release}=${w.count}`]));

  it('starts the instances of its step and keeps the old release whole', () => {
    expect(words(input(four))).toEqual(['v2=1', 'v1=4']);
    expect(words(input([...four, fresh(1)]))).toEqual(['v2=2', 'v1=4']);
    const there = input([...four, fresh(1), fresh(2)]);
    expect(words(there)).toEqual(['v2=2', 'v1=4']);
    expect(decide(there)).toMatchObject({ state: 'running', stepReached: true });
  });

  it('says what its step waits for', () => {
    expect(decide(input([...four, fresh(1)]))).toMatchObject({ state: 'running', waitsFor: 'web: 1 of 2 healthy' });
  });

  it('lets the old release go only when the last step has all of its instances', () => {
    const last = { canaryPercent: 100 };
    expect(words(input([...four, fresh(1), fresh(2), fresh(3)], last))).toEqual(['v2=4', 'v1=4']);
    const done = input([...four, fresh(1), fresh(2), fresh(3), fresh(4)], last);
    expect(decide(done).state).toBe('succeeded');
    expect(words(done)).toEqual(['v2=4']);
  });

  it('goes back to what was there', () => {
    const back = input([...four, fresh(1), fresh(2)], { state: 'cancelling' });
    expect(words(back)).toEqual(['v1=4']);
    expect(decide(back).state).toBe('cancelled');
  });

  it('follows a scale in the middle of it', () => {
    const more = { oldTargets: { web: 6 }, newTargets: { web: 6 } };
    expect(words(input([...four, fresh(1), fresh(2)], more))).toEqual(['v2=3', 'v1=6']);
    const less = { oldTargets: { web: 2 }, newTargets: { web: 2 } };
    expect(words(input([...four, fresh(1), fresh(2)], less))).toEqual(['v2=1', 'v1=2']);
  });
});
