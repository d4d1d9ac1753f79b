import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RateLimiter } from '../../../../../src/router/embedded/limits/rate.ts';

describe('RateLimiter', () => {
  it('lets a burst pass, then as many a second as it says', () => {
    const rate = new RateLimiter({ perSecond: 10, burst: 3 });
    expect([0, 0, 0, 0].map((now) => rate.take('a', now))).toEqual([0, 0, 0, 100]);
    expect(rate.take('a', 99)).toBeCloseTo(1);
    expect(rate.take('a', 100)).toBe(0);
    expect(rate.take('a', 100)).toBeCloseTo(100);
    expect(rate.take('b', 100)).toBe(0);
  });

  it('never lets more pass than a bucket of that size and rate could hold', () => {
    const gaps = fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 200 });
    fc.assert(
      fc.property(gaps, fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 5 }), (waits, perSecond, burst) => {
        const rate = new RateLimiter({ perSecond, burst });
        let now = 0;
        let tokens = burst;
        for (const wait of waits) {
          now += wait;
          tokens = Math.min(burst, tokens + (wait * perSecond) / 1000);
          const taken = rate.take('a', now) === 0;
          // Sums of fractions: right at the border both answers are.
          if (Math.abs(tokens - 1) > 1e-6) expect(taken).toBe(tokens >= 1);
          if (taken) tokens -= 1;
        }
      }),
    );
  });

  it('remembers only who has less than a full bucket, and so many at most', () => {
    const rate = new RateLimiter({ perSecond: 1, burst: 1 }, 100);
    for (let client = 0; client < 500; client++) rate.take(String(client), 0);
    expect(rate.clients).toBe(100);
    expect(rate.take('499', 0)).toBeGreaterThan(0);
    rate.sweep(1001);
    expect(rate.clients).toBe(0);
  });
});
