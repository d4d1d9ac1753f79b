import { describe, expect, it } from 'vitest';
import {
  beside,
  grayColumn,
  grayOf,
  grayTable,
  scaleGray,
  withoutRule,
  withRule,
  type GrayState,
  type KeptRule,
} from '../../../../src/control/deploy/gray.ts';
import type { ScaleRequest } from '../../../../src/shared/contracts/api.ts';
import { parseConditions } from '../../../../src/shared/gray/rules-text.ts';

const none: GrayState = { rules: [], releases: {} };
const rule = (id: string, release: number): KeptRule => ({
  ...{ id, release, by: 'me', createdAt: 1 },
  all: parseConditions('percent:5'),
});

describe('the gray state of an app', () => {
  it('runs a release as long as some rule leads to it', () => {
    let state = withRule(none, rule('a', 2), { web: 1 });
    state = withRule({ ...state, releases: { 2: { web: 3 } } }, rule('b', 2), { web: 1 });
    expect(state.releases).toEqual({ 2: { web: 3 } });
    state = withoutRule(state, 'a');
    expect(state.releases).toEqual({ 2: { web: 3 } });
    expect(withoutRule(state, 'b')).toEqual(none);
    expect(() => withoutRule(state, 'c')).toThrow('no gray rule c');
  });

  it('has a rule for the stable release run nothing more, until another one is stable', () => {
    const state = withRule(none, rule('a', 1), { web: 2 });
    expect(beside(state, 1)).toEqual({});
    expect(beside(state, 2)).toEqual({ 1: { web: 2 } });
    expect(beside(withoutRule(state, 'a'), 2)).toEqual({});
  });

  it('has bounds', () => {
    let state = none;
    for (let release = 2; release < 7; release++) state = withRule(state, rule(`r${release}`, release), { web: 1 });
    expect(() => withRule(state, rule('more', 7), { web: 1 })).toThrow('Rules lead to 5 releases');
  });

  it('is nothing at all when there is none', () => {
    expect(grayColumn(none)).toBeNull();
    expect(grayOf({ gray: null })).toEqual(none);
    expect(grayTable(none, 1, undefined)).toBeUndefined();
  });

  it('puts what people have decided before the share of a rollout', () => {
    const state = withRule(none, rule('a', 2), { web: 1 });
    const canary = { releases: [3], rules: [{ release: 3, all: parseConditions('percent:10') }] };
    const rules = [{ release: 2, all: parseConditions('percent:5') }, canary.rules[0]];
    expect(grayTable(state, 1, canary)).toEqual({ releases: [2, 3], rules });
  });

  it('keeps the stable release from nobody, whatever leads to it', () => {
    const state = withRule(none, rule('a', 1), { web: 1 });
    const rules = [{ release: 1, all: parseConditions('percent:5') }];
    expect(grayTable(state, 1, undefined)).toEqual({ releases: [], rules });
    expect(grayTable(state, 2, undefined)).toEqual({ releases: [1], rules });
  });
});

describe('a scale of a release beside the stable one', () => {
  const kinds = { web: 'web', jobs: 'worker', nightly: 'cron' } as const;
  const processes = Object.fromEntries(
    Object.entries(kinds).map(([type, kind]) => [
      type,
      {
        kind,
        command: 'run',
        graceMs: null,
        schedule: null,
        health: { type: 'process' as const, timeoutMs: 1, intervalMs: 1 },
      },
    ]),
  );
  const gray = { rules: [rule('a', 2)], releases: { 2: { web: 1 } } };
  const formation = { web: { kind: 'web' as const, instances: 9, memoryMb: 64, cpu: null, schedule: null } };
  const scale = (release: number, wish: ScaleRequest['processes']) =>
    scaleGray(
      { name: 'shop', stable: 3, gray, formation },
      release,
      processes,
      { processes: wish },
      { hostMemoryMb: 1000 },
    );

  it('changes its numbers alone', () => {
    const { state, changed, formation: own } = scale(2, { web: { delta: 2 }, jobs: { instances: 1 } });
    expect(state).toEqual({ ...gray, releases: { 2: { web: 3, jobs: 1 } } });
    expect(changed).toEqual(['web 1 -> 3', 'jobs 0 -> 1']);
    expect(own['web']).toMatchObject({ instances: 3, memoryMb: 64 });
    expect(scale(2, { web: { instances: 0 } }).state.releases).toEqual({ 2: { web: 0 } });
    expect(scale(2, { web: { instances: 1 } }).changed).toEqual([]);
  });

  it('is refused for what does not run beside, and for what belongs to the app', () => {
    expect(() => scale(1, { web: { instances: 2 } })).toThrow('v1 does not run beside');
    expect(() => scale(3, { web: { instances: 2 } })).toThrow('it is that');
    expect(() => scale(2, { web: { memoryMb: 100 } })).toThrow('the same for all releases');
    expect(() => scale(2, { other: { instances: 2 } })).toThrow('no process type other');
    expect(() => scale(2, { nightly: { instances: 2 } })).toThrow('cron');
    expect(() => scale(2, { web: { delta: -2 } })).toThrow('too many');
  });
});
