/** Router settings of an app in the words of the manifest's `router`, for plans and `paas app`. */
import type { RouterSettings } from './contracts/app-spec.ts';
import { formatDuration, formatSize } from './units.ts';

/** Key of the manifest -> its value as written there; only what is set. */
export function describeRouter({ protocol, limits = {}, outlier }: RouterSettings): Map<string, string> {
  const { concurrency, queue, queueMs, rate, maxBodyBytes, responseMs } = limits;
  const words: [string, string | undefined][] = [
    ['protocol', protocol],
    ['max_connections', concurrency?.toString()],
    ['queue', queue?.toString()],
    ['queue_timeout', queueMs === undefined ? undefined : formatDuration(queueMs)],
    ['rate', rate?.perSecond.toString()],
    ['burst', rate?.burst.toString()],
    ['max_body', maxBodyBytes === undefined ? undefined : formatSize(maxBodyBytes / (1024 * 1024))],
    ['response_timeout', responseMs === undefined ? undefined : formatDuration(responseMs)],
    ['outlier', outlier && (outlier.failures === 0 ? 'off' : outlierText(outlier))],
  ];
  return new Map(words.flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const])));
}

const outlierText = ({ failures, ejectMs }: { failures: number; ejectMs: number }): string =>
  `{ failures: ${failures}, time: ${formatDuration(ejectMs)} }`;
