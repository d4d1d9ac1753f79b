/**
 * Whether the new release of a canary answers worse than the old one, pure.
 *
 *   fewer than `minRequests` of the new release: nothing is said
 *   its 5xx ratio is more than `maxErrors` points above the old one's: worse
 *   its p95 is more than `maxLatency` times the old one's, and more than 20 ms above it: worse
 *
 * Both are seen over the time of the step. Where the old release had fewer than `minRequests` in it (a step of 99 %), it
 * is seen since the rollout began; where these are too few as well, its errors are taken as they are (0 % without a
 * request) and latency is not looked at.
 *
 * Of a hundred requests five make the p95, and those of a process that has just begun are its slowest. So what is compared
 * is the least that the new p95 may be by chance: the quantile two standard errors below, sqrt(q (1 - q) / n) each.
 */
import { errorPercent, percentile, requestsOf, type Counts } from '../traffic/counts.ts';

export interface AnalysisLimits {
  /** Points (of a hundred) that the 5xx ratio may be above the old release's. */
  maxErrors: number;
  /** How many times the old release's p95 the new one's may be. */
  maxLatency: number;
  /** Requests of the new release before anything is judged. */
  minRequests: number;
}

export const defaultLimits: AnalysisLimits = { maxErrors: 1, maxLatency: 1.5, minRequests: 100 };

/** A difference that hardly any user notices, and that the first requests of a process or a busy machine make: ms. */
const noiseMs = 20;

export interface Window {
  /** What the releases answered since the step was reached. */
  fresh: Counts;
  old: Counts;
  /** What the old one answered since the rollout began. */
  oldSinceBegin: Counts;
}

export interface Figures {
  requests: number;
  /** Of a hundred. */
  errorPercent: number;
  /** ms; null without requests. */
  p95: number | null;
}

export interface Comparison {
  fresh: Figures;
  old: Figures;
  /** The old release's figures are since the rollout began. */
  oldSinceBegin: boolean;
  /** undecided: too few requests. */
  verdict: 'undecided' | 'fine' | 'errors' | 'latency';
}

export function figuresOf(counts: Counts): Figures {
  return { requests: requestsOf(counts), errorPercent: errorPercent(counts), p95: percentile(counts, 95) };
}

/** What the p95 is at least, as far as so many requests can tell; ms. */
function leastP95(counts: Counts): number | null {
  const standardError = Math.sqrt((0.95 * 0.05) / Math.max(1, requestsOf(counts)));
  return percentile(counts, 95 - 200 * standardError);
}

export function compare(window: Window, limits: AnalysisLimits): Comparison {
  const enough = (counts: Counts) => requestsOf(counts) >= limits.minRequests;
  const oldSinceBegin = !enough(window.old);
  const fresh = figuresOf(window.fresh);
  const old = figuresOf(oldSinceBegin ? window.oldSinceBegin : window.old);
  const verdict = (): Comparison['verdict'] => {
    if (!enough(window.fresh)) return 'undecided';
    if (fresh.errorPercent > old.errorPercent + limits.maxErrors) return 'errors';
    const least = leastP95(window.fresh);
    if (old.requests < limits.minRequests || least === null || old.p95 === null) return 'fine';
    return least > old.p95 * limits.maxLatency && least - old.p95 > noiseMs ? 'latency' : 'fine';
  };
  return { fresh, old, oldSinceBegin, verdict: verdict() };
}

const number = (n: number): string => n.toLocaleString('en-US');
const percent = (n: number): string => `${n.toFixed(1)} %`;
const ms = (n: number | null): string => (n === null ? '?' : n < 10 ? `${n.toFixed(1)} ms` : `${Math.round(n)} ms`);

/**
 * Why a canary goes back, for people: `canary step 1 (5 %): v13 answered 12.4 % of 1,204 requests with 5xx, v12 0.2 % of
 * 22,871 (limit: +1.0 points)`.
 */
export function reasonText(
  { fresh, old, verdict }: Comparison,
  limits: AnalysisLimits,
  about: { step: number; percent: number; from: number; to: number },
): string {
  const where = `canary step ${about.step + 1} (${about.percent} %)`;
  if (verdict === 'latency') {
    const was = `v${about.from}'s ${ms(old.p95)} over ${number(old.requests)}`;
    return `${where}: v${about.to}'s p95 is ${ms(fresh.p95)} over ${number(fresh.requests)} requests, ${was} (limit: ${limits.maxLatency} times)`;
  }
  const seen = `${percent(fresh.errorPercent)} of ${number(fresh.requests)} requests with 5xx`;
  const was = old.requests === 0 ? 'had none' : `${percent(old.errorPercent)} of ${number(old.requests)}`;
  return `${where}: v${about.to} answered ${seen}, v${about.from} ${was} (limit: +${limits.maxErrors.toFixed(1)} points)`;
}
