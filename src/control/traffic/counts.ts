/** Counts of requests and what can be read off them, pure. */
import { latencyBounds } from '../../shared/contracts/routes.ts';

export interface Counts {
  /** Ended requests by the class of their status, 1xx to 5xx. */
  readonly classes: readonly number[];
  /** Requests by `latencyBounds`; the last one has all above. */
  readonly latency: readonly number[];
}

export const noCounts: Counts = {
  classes: Array<number>(5).fill(0),
  latency: Array<number>(latencyBounds.length + 1).fill(0),
};

/** Element by element; what the shorter one lacks counts as 0. */
function zip(a: readonly number[], b: readonly number[], combine: (x: number, y: number) => number): number[] {
  return Array.from({ length: Math.max(a.length, b.length) }, (_, i) => combine(a[i] ?? 0, b[i] ?? 0));
}

export const add = (a: Counts, b: Counts): Counts => ({
  classes: zip(a.classes, b.classes, (x, y) => x + y),
  latency: zip(a.latency, b.latency, (x, y) => x + y),
});

/** What came between two moments; never below 0. */
export const difference = (now: Counts, before: Counts): Counts => ({
  classes: zip(now.classes, before.classes, (x, y) => Math.max(0, x - y)),
  latency: zip(now.latency, before.latency, (x, y) => Math.max(0, x - y)),
});

/** Whether some count is lower than it was: whoever counts has begun anew. */
export const wentBack = (now: Counts, before: Counts): boolean =>
  before.classes.some((count, i) => (now.classes[i] ?? 0) < count) ||
  before.latency.some((count, i) => (now.latency[i] ?? 0) < count);

const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);

export const requestsOf = ({ classes }: Counts): number => sum(classes);

/** How many of a hundred requests were answered with 5xx; 0 without requests. */
export function errorPercent(counts: Counts): number {
  const requests = requestsOf(counts);
  return requests === 0 ? 0 : ((counts.classes[4] ?? 0) / requests) * 100;
}

/**
 * The latency in ms that `percent` of the requests did not exceed, taken to be spread evenly within a bucket of the
 * histogram; null without requests. What lies above the last bound is given as that bound.
 */
export function percentile({ latency }: Counts, percent: number): number | null {
  const total = sum(latency);
  if (total === 0) return null;
  const rank = (total * percent) / 100;
  let below = 0;
  for (const [i, count] of latency.entries()) {
    if (count > 0 && below + count >= rank) {
      const from = latencyBounds[i - 1] ?? 0;
      const to = latencyBounds[i] ?? from;
      return from + ((rank - below) / count) * (to - from);
    }
    below += count;
  }
  return latencyBounds.at(-1) ?? null;
}
