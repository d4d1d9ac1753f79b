import { noCounts, type Counts } from '../../../../src/control/traffic/counts.ts';
import { latencyBounds, type TrafficCount } from '../../../../src/shared/contracts/routes.ts';

interface Requests {
  ok?: number;
  failed?: number;
  /** How long each took. */
  ms?: number;
}

/** The counts of so many requests. */
export function counted({ ok = 0, failed = 0, ms = 10 }: Requests): Counts {
  const latency = [...noCounts.latency];
  const bucket = latencyBounds.findIndex((bound) => ms <= bound);
  latency[bucket < 0 ? latencyBounds.length : bucket] = ok + failed;
  return { classes: [0, ok, 0, 0, failed], latency };
}

/** A router's word about one release. */
export const word = (
  release: number,
  requests: Requests,
  more: { appId?: string; open?: number } = {},
): TrafficCount => {
  const { classes, latency } = counted(requests);
  return { appId: 'app_1', release, classes: [...classes], latency: [...latency], open: 0, ...more };
};
