/** The scalars of manifests: what each must be, how it is read, and what to write instead. Sizes in MiB, times in ms. */
import { PaasError } from '../../shared/errors.ts';
import { dnsLabel } from '../../shared/ids.ts';
import { formatRoute, parseRoute } from '../../shared/routes-text.ts';
import { formatDuration, formatSize, parseDuration, parseSize } from '../../shared/units.ts';
import type { ScalarNode } from './tree.ts';
import type { Leaf } from './types.ts';
import { nearest } from './nearest.ts';

export function leaf<T>(expected: string, read: Leaf<T>['read'], hint?: Leaf<T>['hint']): Leaf<T> {
  return { kind: 'leaf', expected, read, ...(hint === undefined ? {} : { hint }) };
}

/** Text only; but a variable's value counts as text too, since `--var` cannot put it in quotes. */
const asText = (node: ScalarNode): string | undefined => {
  const isText = typeof node.value === 'string' || (node.variable !== undefined && node.value !== null);
  return isText && node.text.trim() !== '' && !node.text.includes('\0') ? node.text : undefined;
};

export const text = leaf('text', asText, (node) =>
  node.value === null || node.variable !== undefined || typeof node.value === 'string'
    ? undefined
    : `put it in quotes: "${node.text}"`,
);

/** Scalars as written: `007`, `1.0` and `yes` stay what they are. */
export const verbatim = leaf(
  'text, a number or true/false',
  (node) => (node.value === null || node.text.includes('\0') ? undefined : node.text),
  (node) => (node.value === null ? 'write "" for an empty value' : undefined),
);

export const label = leaf(
  'a DNS label (a-z, 0-9 and -, at most 63 characters)',
  (node) =>
    node.value !== null && typeof node.value !== 'boolean' && dnsLabel.test(node.text) ? node.text : undefined,
  (node) => labelHint(node.variable === undefined && node.value !== null ? node.text : ''),
);

export function labelHint(wrong: string): string | undefined {
  const slug = slugify(wrong);
  return slug === '' ? undefined : `write \`${slug}\``;
}

/** The DNS label nearest to a text: `My_App 2` becomes `my-app-2`; empty when nothing of it can be kept. */
export function slugify(wrong: string): string {
  return wrong
    .slice(0, 1000)
    .normalize('NFKD')
    .toLowerCase()
    .replace(/\p{M}+/gu, '')
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 64)
    .replace(/^-/, '')
    .slice(0, 63)
    .replace(/-$/, '');
}

export function integer(min: number, max: number): Leaf<number> {
  return leaf(`a whole number from ${min} to ${max}`, (node) =>
    Number.isSafeInteger(node.value) && Number(node.value) >= min && Number(node.value) <= max
      ? Number(node.value)
      : undefined,
  );
}

/** @param what it is a number of: ` of points` */
export function decimal(min: number, max: number, what = ''): Leaf<number> {
  return leaf(`a number${what} from ${min} to ${max}`, (node) =>
    typeof node.value === 'number' && node.value >= min && node.value <= max ? node.value : undefined,
  );
}

export const cores = leaf('a number of cores above 0, at most 1024', (node) =>
  typeof node.value === 'number' && node.value > 0 && node.value <= 1024 ? node.value : undefined,
);

/** Requests per second; less than one in so many seconds, too. */
export const rate = leaf('a number of requests per second, from 0.01 to 1000000', (node) =>
  typeof node.value === 'number' && node.value >= 0.01 && node.value <= 1_000_000 ? node.value : undefined,
);

/** `true` and `false`, and the other words for them that YAML 1.1 (which Cloud Foundry reads) knows. */
export const truth = leaf('true or false', (node) => {
  if (/^(?:true|yes|on)$/i.test(node.text)) return true;
  return /^(?:false|no|off)$/i.test(node.text) ? false : undefined;
});

export function oneOf<const T extends string>(...words: T[]): Leaf<T> {
  return leaf(
    `one of ${words.join(', ')}`,
    (node) => words.find((word) => word === node.value),
    (node) => {
      const near = typeof node.value === 'string' ? nearest(node.value, words) : undefined;
      return near === undefined ? undefined : `did you mean \`${near}\`?`;
    },
  );
}

export function size(min: number): Leaf<number> {
  return leaf(
    `a size of at least ${formatSize(min)}, such as 256M or 1G`,
    (node) => {
      const mib = attempt(() => parseSize(asText(node) ?? ''));
      return mib !== undefined && mib >= min ? mib : undefined;
    },
    (node) => (typeof node.value === 'number' ? `write the unit: ${node.text}M` : undefined),
  );
}

/** The longest time that anything waits: a day, far below the 24.8 days that a timer of Node can hold. */
const longest = 86_400_000;

export function duration(min: number): Leaf<number> {
  return leaf(
    `a time from ${formatDuration(min)} to ${formatDuration(longest)}, such as 60s or 5m`,
    (node) => {
      const ms = attempt(() => parseDuration(typeof node.value === 'boolean' ? '' : node.text));
      return ms !== undefined && ms >= min && ms <= longest ? ms : undefined;
    },
    (node) => (typeof node.value === 'number' && node.value !== 0 ? `write the unit: ${node.text}s` : undefined),
  );
}

/** Whole seconds as Cloud Foundry writes times; read as ms. */
export const seconds = leaf('a whole number of seconds, from 1 to 86400', (node) => {
  const ms = Number.isSafeInteger(node.value) ? Number(node.value) * 1000 : 0;
  return ms >= 1000 && ms <= longest ? ms : undefined;
});

export const urlPath = leaf(
  'a path that begins with /',
  (node) => (/^\/[^\s#]*$/.test(asText(node) ?? '') ? node.text : undefined),
  (node) => (node.variable === undefined && /^[\w.-]+$/.test(node.text) ? `write \`/${node.text}\`` : undefined),
);

export const route = leaf(
  'a route, HOST or HOST/PATH',
  (node) => attempt(() => formatRoute(parseRoute(asText(node) ?? ''))),
  (node) => {
    try {
      parseRoute(node.text);
    } catch (thrown) {
      const reason = thrown instanceof PaasError && node.variable === undefined && node.text !== '';
      if (reason) return `${thrown.message.replace(/^.*is not a route: /s, '').replace(/\.$/, '')}. ${thrown.hint}`;
    }
    return undefined;
  },
);

export const schedule = leaf(
  'five fields in quotes: minute, hour, day of the month, month, day of the week',
  (node) => {
    const fields =
      asText(node)
        ?.trim()
        .split(/[ \t]+/) ?? [];
    return fields.length === 5 && fields.every((part) => /^[\w*,/?#-]+$/.test(part)) ? fields.join(' ') : undefined;
  },
  'for instance "0 3 * * *", every night at three (UTC)',
);

/** Undefined instead of the exception: the caller's message says what was expected, and never shows a variable's value. */
function attempt<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (thrown) {
    if (thrown instanceof PaasError) return undefined;
    throw thrown;
  }
}
