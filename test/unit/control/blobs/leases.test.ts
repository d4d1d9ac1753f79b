import { expect, it } from 'vitest';
import { Leases } from '../../../../src/control/blobs/leases.ts';

const minute = 60_000;

function leases() {
  const clock = { now: 0 };
  const held = new Leases(30 * minute, 24 * 60 * minute, () => clock.now);
  return { clock, held, active: () => [...held.active()].sort() };
}

it('hold what was pinned while there are signs of life, and no longer', () => {
  const { clock, held, active } = leases();
  held.pin('a', ['1', '2']);
  held.pin('b', ['3']);
  clock.now = 25 * minute;
  held.renew('a');
  clock.now = 40 * minute;
  expect(active()).toEqual(['1', '2']);
  clock.now = 60 * minute;
  expect(active()).toEqual([]);
});

it('of a machine that pushes day and night do not hold what it pushed long ago', () => {
  const { clock, held, active } = leases();
  for (let push = 0; push < 10_000; push++) {
    clock.now = push * minute;
    held.pin('ci', ['always', `of push ${push}`]);
  }
  expect(active()).toHaveLength(24 * 60 + 2);
  expect(active()).toContain('always');
});

it('say that something was pinned anew, and nothing of what was pinned already', () => {
  const { held } = leases();
  held.pin('a', ['1']);
  const before = held.version;
  held.pin('a', ['1']);
  held.renew('a');
  expect(held.version).toBe(before);
  held.pin('a', ['2']);
  expect(held.version).toBeGreaterThan(before);
});
