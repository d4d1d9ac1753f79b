import { describe, expect, it } from 'vitest';
import {
  grayColumn,
  grayOf,
  grayTable,
  withoutRule,
  withRule,
  type GrayState,
  type KeptRule,
} from '../../../../src/control/deploy/gray.ts';
import { parseConditions } from '../../../../src/shared/gray/rules-text.ts';

const none: GrayState = { rules: [], releases: {} };
const rule = (id: string, release: number): KeptRule => ({
  ...{ id, release, by: 'me', createdAt: 1 },
  all: parseConditions('percent:5'),
});

describe('the gray state of an app', () => {
  it('runs a release as long as some rule leads to it', () => {
    let state = withRule(none, rule('a', 2), 1, { web: 1 });
    state = withRule({ ...state, releases: { 2: { web: 3 } } }, rule('b', 2), 1, { web: 1 });
    expect(state.releases).toEqual({ 2: { web: 3 } });
    state = withoutRule(state, 'a');
    expect(state.releases).toEqual({ 2: { web: 3 } });
    expect(withoutRule(state, 'b')).toEqual(none);
    expect(() => withoutRule(state, 'c')).toThrow('no gray rule c');
  });

  it('starts nothing for a rule that leads to the stable release', () => {
    expect(withRule(none, rule('a', 1), 1, { web: 1 }).releases).toEqual({});
  });

  it('has bounds', () => {
    let state = none;
    for (let release = 2; release < 7; release++) state = withRule(state, rule(`r${release}`, release), 1, { web: 1 });
    expect(() => withRule(state, rule('more', 7), 1, { web: 1 })).toThrow('5 releases run beside');
  });

  it('is nothing at all when there is none', () => {
    expect(grayColumn(none)).toBeNull();
    expect(grayOf({ gray: null })).toEqual(none);
    expect(grayTable(none, undefined)).toBeUndefined();
    expect(grayTable(withRule(none, rule('a', 1), 1, {}), undefined)).toBeUndefined();
  });

  it('puts what people have decided before the share of a rollout', () => {
    const state = withRule(none, rule('a', 2), 1, { web: 1 });
    const canary = { releases: [3], rules: [{ release: 3, all: parseConditions('percent:10') }] };
    expect(grayTable(state, canary)).toEqual({
      releases: [2, 3],
      rules: [{ release: 2, all: parseConditions('percent:5') }, canary.rules[0]],
    });
  });
});
