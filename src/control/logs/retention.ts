/** What retention drops. Pure: summaries in, decision out. */
import type { Summary } from './segment.ts';

export interface RetentionLimits {
  appBytes: number;
  totalBytes: number;
  maxAgeMs: number;
}

interface AppSegments {
  appId: string;
  /** Complete segments, oldest first; only these may go. */
  sealed: readonly Summary[];
  /** Bytes of all segments. */
  bytes: number;
}

/** How many of its oldest segments each app has to drop. */
export function chooseDropped(apps: readonly AppSegments[], limits: RetentionLimits, now: number): Map<string, number> {
  const dropped = new Map<string, number>();
  let total = 0;
  const rest: { appId: string; summary: Summary }[] = [];
  for (const { appId, sealed, bytes } of apps) {
    let left = bytes;
    let count = 0;
    for (const summary of sealed) {
      if (left <= limits.appBytes && now - summary.writtenAt <= limits.maxAgeMs) break;
      left -= summary.bytes;
      count += 1;
    }
    dropped.set(appId, count);
    total += left;
    for (const summary of sealed.slice(count)) rest.push({ appId, summary });
  }
  // Over the total: the longest unwritten go first, whosever they are. Those of one app are in order already.
  rest.sort((a, b) => a.summary.writtenAt - b.summary.writtenAt || a.summary.n - b.summary.n);
  for (const { appId, summary } of rest) {
    if (total <= limits.totalBytes) break;
    total -= summary.bytes;
    dropped.set(appId, dropped.get(appId)! + 1);
  }
  return dropped;
}
