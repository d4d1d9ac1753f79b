/** What releases answered lately, for `paas app`. */
import type { AppTraffic } from '../../shared/contracts/api.ts';
import { percentile, requestsOf } from './counts.ts';
import type { Traffic } from './traffic.ts';

export function appTraffic(traffic: Traffic, appId: string, now = Date.now()): AppTraffic {
  const { since, releases } = traffic.recent(appId, now);
  return {
    since: new Date(since).toISOString(),
    releases: releases.map(({ release, counts, open }) => ({
      ...{ release, requests: requestsOf(counts), classes: [...counts.classes], open },
      ...{ p50: percentile(counts, 50), p95: percentile(counts, 95), p99: percentile(counts, 99) },
    })),
  };
}
