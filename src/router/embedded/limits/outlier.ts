/** Instances that fail again and again get no requests for a while; at most half of those a request may go to. */
import type { Outlier } from '../../../shared/contracts/routes.ts';

/** What is kept of an endpoint for it. */
export interface Ejectable {
  /** Failures in a row: answers of 500 and above, none at all, or connections that were not accepted. */
  failures: number;
  /** No request until then (ms since the epoch). */
  ejectedUntil: number;
  /** Requests prefer others until then; never before `ejectedUntil`. */
  avoidUntil: number;
  readonly retired: boolean;
}

/**
 * Notes a failure, and takes the endpoint out where it was one too many.
 * @param among those that the request could have gone to
 * @returns whether it is out from now on
 */
export function noteFailure(
  endpoint: Ejectable,
  among: readonly Ejectable[],
  { failures, ejectMs }: Outlier,
  now: number,
): boolean {
  // What was under way when it was taken out says nothing new.
  if (endpoint.ejectedUntil > now || failures === 0 || ++endpoint.failures < failures) return false;
  const living = among.filter(({ retired }) => !retired);
  const out = living.filter(({ ejectedUntil }) => ejectedUntil > now).length;
  if (endpoint.retired || out + 1 > living.length / 2) return false;
  endpoint.failures = 0;
  endpoint.ejectedUntil = now + ejectMs;
  endpoint.avoidUntil = Math.max(endpoint.avoidUntil, endpoint.ejectedUntil);
  return true;
}

/** Takes those back that would return first, where more than half of `endpoints` are out: the table has changed. */
export function keepHalf(endpoints: readonly Ejectable[], now: number): void {
  const out = endpoints.filter(({ ejectedUntil }) => ejectedUntil > now);
  const excess = out.length - Math.floor(endpoints.length / 2);
  if (excess <= 0) return;
  out.sort((one, other) => one.ejectedUntil - other.ejectedUntil);
  for (const endpoint of out.slice(0, excess)) endpoint.ejectedUntil = endpoint.avoidUntil = 0;
}
