/** Sizes, durations and formation words as people write them, in flags and manifests. All three print what they read. */
import { PaasError } from './errors.ts';
import { dnsLabel } from './ids.ts';

const mibPerUnit = new Map([
  ['k', 1 / 1024],
  ['m', 1],
  ['g', 1024],
  ['t', 1024 * 1024],
]);

/**
 * A size in MiB out of `256M`, `1G`, `1.5GB`, `512MiB`. The unit is required; `M`, `MB` and `MiB` all mean 2^20 bytes,
 * as they do for Cloud Foundry and Docker.
 * @throws PaasError usage
 */
export function parseSize(text: string): number {
  const [, digits = '', unit = ''] = /^\s*(\d{1,12}(?:\.\d{1,6})?)\s*([kmgt])(?:i?b)?\s*$/i.exec(text) ?? [];
  const mib = Number(digits) * (mibPerUnit.get(unit.toLowerCase()) ?? Number.NaN);
  if (digits === '' || !Number.isSafeInteger(mib) || mib === 0) {
    throw new PaasError('usage', `\`${text}\` is not a size of whole MiB.`, {
      hint: 'Write a number with its unit, as in `256M` or `1G`.',
    });
  }
  return mib;
}

/** MiB as the shortest text that `parseSize` reads back: `256M`, `1G`. */
export function formatSize(mib: number): string {
  return mib !== 0 && mib % 1024 === 0 ? `${mib / 1024}G` : `${mib}M`;
}

const msPerUnit = new Map([
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
]);

/**
 * A duration in milliseconds out of `500ms`, `60s`, `1.5h`, `1h30m`, or a plain `0`. Otherwise the unit is required,
 * since tools disagree on whether a bare number means seconds or milliseconds.
 * @throws PaasError usage
 */
export function parseDuration(text: string): number {
  const trimmed = text.trim().toLowerCase();
  if (trimmed === '0') return 0;
  let ms = 0;
  if (/^(?:\d{1,12}(?:\.\d{1,6})?(?:ms|[dhms])){1,5}$/.test(trimmed)) {
    for (const [, digits, unit = ''] of trimmed.matchAll(/([\d.]+)(ms|[dhms])/g)) {
      ms += Number(digits) * (msPerUnit.get(unit) ?? Number.NaN);
    }
    ms = Math.round(ms);
  } else {
    ms = Number.NaN;
  }
  if (!Number.isSafeInteger(ms)) {
    throw new PaasError('usage', `\`${text}\` is not a duration.`, {
      hint: 'Write a number with its unit (ms, s, m, h, d), as in `60s` or `5m`.',
    });
  }
  return ms;
}

/** Milliseconds as a text that `parseDuration` reads back: `500ms`, `1h30m`, `0s`. */
export function formatDuration(ms: number): string {
  let rest = ms;
  let text = '';
  for (const [unit, size] of msPerUnit) {
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text === '' ? '0s' : text;
}

/** What one word of `paas scale` asks for: `web=3` sets, `worker+1` and `worker-1` change by. */
export interface FormationChange {
  type: string;
  op: '=' | '+' | '-';
  count: number;
}

/**
 * Reads `web=3`, `worker+1` or `my-worker-1` (the process type `my-worker`, one less).
 * @throws PaasError usage
 */
export function parseFormation(word: string): FormationChange {
  const [, type = '', op = '', digits = ''] = /^(.+?)([=+-])(\d{1,4})$/.exec(word.trim()) ?? [];
  const count = Number(digits);
  if (!dnsLabel.test(type) || digits === '' || count > 1000) {
    throw new PaasError('usage', `\`${word}\` does not say how to scale a process type.`, {
      hint: 'Write `web=3`, `web+1` or `web-1`, with at most 1000 instances.',
    });
  }
  return { type, op: op as FormationChange['op'], count };
}

/** A formation in the words that `paas scale` reads: `web=3 worker=1`. */
export function formatFormation(counts: Iterable<readonly [type: string, count: number]>): string {
  return [...counts].map(([type, count]) => `${type}=${count}`).join(' ');
}
