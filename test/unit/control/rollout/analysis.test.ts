import { describe, expect, it } from 'vitest';
import {
  compare,
  defaultLimits,
  reasonText,
  type AnalysisLimits,
  type Comparison,
} from '../../../../src/control/rollout/analysis.ts';
import { newCanary } from '../../../../src/control/rollout/canary.ts';
import { add, noCounts, type Counts } from '../../../../src/control/traffic/counts.ts';
import { counted } from '../traffic/requests.ts';

const judge = (
  fresh: Counts,
  old: Counts,
  more: { oldSinceBegin?: Counts; limits?: AnalysisLimits } = {},
): Comparison => compare({ fresh, old, oldSinceBegin: more.oldSinceBegin ?? old }, more.limits ?? defaultLimits);
const verdict = (...args: Parameters<typeof judge>): string => judge(...args).verdict;
const healthy = counted({ ok: 1000 });

describe('a canary is compared', () => {
  it('only once it has had enough requests', () => {
    expect(verdict(counted({ failed: 99 }), healthy)).toBe('undecided');
    expect(verdict(counted({ failed: 100 }), healthy)).toBe('errors');
    const limits = { ...defaultLimits, minRequests: 10 };
    expect(verdict(counted({ failed: 10 }), healthy, { limits })).toBe('errors');
  });

  it('by its errors: a point above those of the old release is allowed', () => {
    expect(verdict(counted({ ok: 990, failed: 10 }), healthy)).toBe('fine');
    expect(verdict(counted({ ok: 989, failed: 11 }), healthy)).toBe('errors');
    // What fails with both is not the new one's fault.
    expect(verdict(counted({ ok: 900, failed: 100 }), counted({ ok: 905, failed: 95 }))).toBe('fine');
  });

  it('by its p95: half as long again is allowed', () => {
    const old = counted({ ok: 1000, ms: 100 });
    expect(verdict(counted({ ok: 1000, ms: 130 }), old)).toBe('fine');
    expect(verdict(counted({ ok: 1000, ms: 250 }), old)).toBe('latency');
    expect(verdict(add(counted({ ok: 960, ms: 100 }), counted({ ok: 40, ms: 9000 })), old)).toBe('fine');
  });

  it('without taking noise for a difference', () => {
    expect(verdict(counted({ ok: 1000, ms: 3 }), counted({ ok: 1000, ms: 1 }))).toBe('fine');
    expect(verdict(counted({ ok: 1000, ms: 15 }), counted({ ok: 1000, ms: 1 }))).toBe('fine');
    expect(verdict(counted({ ok: 1000, ms: 40 }), counted({ ok: 1000, ms: 1 }))).toBe('latency');
    // Eight slow ones of a hundred are the first of a process that has just begun; eighty of a thousand are not.
    const some = (times: number): Counts => add(counted({ ok: 92 * times }), counted({ ok: 8 * times, ms: 400 }));
    expect(verdict(some(1), healthy)).toBe('fine');
    expect(verdict(some(10), healthy)).toBe('latency');
  });

  it('with what the old release did since the rollout began, where it had too few in the step', () => {
    const few = counted({ ok: 3, ms: 500 });
    const before = counted({ ok: 500, failed: 50, ms: 10 });
    const seen = judge(counted({ ok: 450, failed: 50, ms: 11 }), few, { oldSinceBegin: before });
    expect(seen).toMatchObject({ verdict: 'fine', oldSinceBegin: true, old: { requests: 550 } });
    expect(verdict(counted({ ok: 500, ms: 100 }), few, { oldSinceBegin: before })).toBe('latency');
  });

  it('by its errors alone, where there is nothing to compare with', () => {
    expect(verdict(counted({ ok: 500, ms: 9000 }), noCounts)).toBe('fine');
    expect(verdict(counted({ ok: 450, failed: 50 }), noCounts)).toBe('errors');
  });
});

describe('the reason why it goes back', () => {
  const about = { step: 0, percent: 5, from: 12, to: 13 };
  const reason = (comparison: Comparison): string => reasonText(comparison, defaultLimits, about);

  it('has the figures of both', () => {
    const seen = judge(counted({ ok: 1055, failed: 149 }), counted({ ok: 22_825, failed: 46 }));
    expect(reason(seen)).toBe(
      'canary step 1 (5 %): v13 answered 12.4 % of 1,204 requests with 5xx, v12 0.2 % of 22,871 (limit: +1.0 points)',
    );
    expect(reason(judge(counted({ failed: 100 }), noCounts))).toContain('v12 had none');
  });

  it('names the latencies', () => {
    const seen = judge(counted({ ok: 200, ms: 300 }), counted({ ok: 4000, ms: 4 }));
    expect(reason(seen)).toBe(
      "canary step 1 (5 %): v13's p95 is 341 ms over 200 requests, v12's 4.0 ms over 4,000 (limit: 1.5 times)",
    );
  });
});

describe('the limits of a canary', () => {
  it('have defaults, one by one, and can be off', () => {
    expect(newCanary({}).analysis).toEqual({ maxErrors: 1, maxLatency: 1.5, minRequests: 100 });
    expect(newCanary({ analysis: { maxErrors: 5 } }).analysis).toEqual({ ...defaultLimits, maxErrors: 5 });
    expect(newCanary({ analysis: 'off' }).analysis).toBeNull();
  });
});
