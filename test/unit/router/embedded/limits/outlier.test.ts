import { describe, expect, it } from 'vitest';
import { keepHalf, noteFailure, type Ejectable } from '../../../../../src/router/embedded/limits/outlier.ts';

const policy = { failures: 3, ejectMs: 1000 };
const endpoints = (count: number): Ejectable[] =>
  Array.from({ length: count }, () => ({ failures: 0, ejectedUntil: 0, avoidUntil: 0, retired: false }));
/** As many failures in a row as it takes. */
const fail = (endpoint: Ejectable, among: readonly Ejectable[], now = 0): boolean =>
  [1, 2, 3].map(() => noteFailure(endpoint, among, policy, now)).includes(true);
const out = (all: readonly Ejectable[], now = 0): number => all.filter((one) => one.ejectedUntil > now).length;

describe('ejection', () => {
  it('takes out what failed so often in a row, for its time', () => {
    const all = endpoints(2);
    expect(noteFailure(all[0]!, all, policy, 0)).toBe(false);
    expect(noteFailure(all[0]!, all, policy, 0)).toBe(false);
    expect(noteFailure(all[0]!, all, policy, 0)).toBe(true);
    expect(all[0]).toMatchObject({ ejectedUntil: 1000, avoidUntil: 1000, failures: 0 });
    expect(out(all, 999)).toBe(1);
    expect(out(all, 1000)).toBe(0);
  });

  it.each([
    [1, 0],
    [2, 1],
    [3, 1],
    [4, 2],
    [7, 3],
  ])('of %i takes out %i at most', (count, most) => {
    const all = endpoints(count);
    for (const endpoint of all) fail(endpoint, all);
    expect(out(all)).toBe(most);
  });

  it('takes out a late one as soon as another one is back', () => {
    const all = endpoints(2);
    fail(all[0]!, all);
    expect(fail(all[1]!, all)).toBe(false);
    expect(noteFailure(all[1]!, all, policy, 1000)).toBe(true);
  });

  it('counts neither what is gone from the table nor what fails while it is out', () => {
    const all = endpoints(3);
    all[2] = { ...all[2]!, retired: true };
    fail(all[0]!, all);
    expect(fail(all[0]!, all, 500)).toBe(false);
    expect(all[0]!.failures).toBe(0);
    expect(fail(all[1]!, all)).toBe(false);
  });

  it('does nothing where it is turned off', () => {
    const all = endpoints(4);
    for (let i = 0; i < 100; i++) expect(noteFailure(all[0]!, all, { failures: 0, ejectMs: 1000 }, 0)).toBe(false);
  });

  it('gives back those that return first when too many are out', () => {
    const all = endpoints(4);
    fail(all[0]!, all, 0);
    fail(all[1]!, all, 10);
    const left = all.slice(0, 2);
    keepHalf(left, 20);
    expect(left.map(({ ejectedUntil }) => ejectedUntil)).toEqual([0, 1010]);
    expect(left[0]!.avoidUntil).toBe(0);
    keepHalf(left.slice(1), 20);
    expect(out(left, 20)).toBe(0);
  });
});
