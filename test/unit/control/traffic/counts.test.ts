import { describe, expect, it } from 'vitest';
import {
  add,
  difference,
  errorPercent,
  noCounts,
  percentile,
  requestsOf,
  wentBack,
} from '../../../../src/control/traffic/counts.ts';
import { latencyBounds } from '../../../../src/shared/contracts/routes.ts';
import { counted } from './requests.ts';

describe('counts of requests', () => {
  it('add up, and tell what came between two moments', () => {
    const before = counted({ ok: 10, failed: 1, ms: 20 });
    const now = add(before, counted({ ok: 5, failed: 2, ms: 100 }));
    expect(requestsOf(now)).toBe(18);
    expect(difference(now, before)).toEqual(counted({ ok: 5, failed: 2, ms: 100 }));
    expect(difference(before, now)).toEqual(noCounts);
  });

  it('tell when whoever counts began anew', () => {
    expect(wentBack(counted({ ok: 3 }), counted({ ok: 3 }))).toBe(false);
    expect(wentBack(counted({ ok: 2 }), counted({ ok: 3 }))).toBe(true);
  });

  it('take what an older router does not count as none', () => {
    expect(add({ classes: [0, 1], latency: [1] }, noCounts)).toEqual({
      classes: [0, 1, 0, 0, 0],
      latency: [1, ...noCounts.latency.slice(1)],
    });
  });

  it('have an error ratio, 0 without requests', () => {
    expect(errorPercent(noCounts)).toBe(0);
    expect(errorPercent(counted({ ok: 75, failed: 25 }))).toBe(25);
  });
});

describe('a percentile', () => {
  it('is read off the histogram, spread evenly within a bucket', () => {
    // All between 90 and 113 ms.
    const counts = counted({ ok: 100, ms: 100 });
    expect(percentile(counts, 100)).toBe(113);
    expect(percentile(counts, 50)).toBeCloseTo(101.5);
    expect(percentile(counted({ ok: 10, ms: 0 }), 50)).toBeCloseTo(0.5);
  });

  it('ignores the slow few', () => {
    const counts = add(counted({ ok: 95, ms: 9 }), counted({ ok: 5, ms: 5000 }));
    expect(percentile(counts, 95)).toBe(10);
    expect(percentile(counts, 99)).toBeGreaterThan(4000);
  });

  it('of nothing is unknown, and beyond the last bound it is that bound', () => {
    expect(percentile(noCounts, 95)).toBeNull();
    expect(percentile(counted({ ok: 1, ms: 1e9 }), 95)).toBe(latencyBounds.at(-1));
  });

  it('is within an eighth of what it was', () => {
    for (const ms of [7, 33, 250, 3333]) {
      const read = percentile(counted({ ok: 1000, ms }), 50)!;
      expect(Math.abs(read - ms) / ms).toBeLessThan(0.13);
    }
  });
});
