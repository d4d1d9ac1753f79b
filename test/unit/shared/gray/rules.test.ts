import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileRules, type Asker } from '../../../../src/shared/gray/choose.ts';
import { maxSearched, readPattern } from '../../../../src/shared/gray/pattern.ts';
import { formatConditions, parseConditions } from '../../../../src/shared/gray/rules-text.ts';
import {
  placeIn,
  readShare,
  shareCookie,
  shareKeys,
  shareOfAddress,
  shares,
} from '../../../../src/shared/gray/sticky.ts';
import { PaasError } from '../../../../src/shared/errors.ts';

const all = Array.from({ length: shares }, (_, share) => share);
const asker = (change: Partial<Asker> = {}): Asker => ({
  regions: () => [],
  address: '192.0.2.1',
  header: () => undefined,
  cookie: () => undefined,
  share: () => 5000,
  ...change,
});
const holds = (text: string, change?: Partial<Asker>): boolean =>
  compileRules([{ release: 2, all: parseConditions(text) }])(asker(change)) !== null;

describe('conditions', () => {
  it.each([
    'cookie:beta=1',
    'cookie:beta~^(a|b)$',
    'header:x-team=qa and percent:50',
    'device:~Mi ?Note',
    'device:curl/8',
    'ip:10.2.0.0/16',
    'ip:2001:db8::1',
    'percent:0.25',
  ])('read what they print: %s', (text) => {
    expect(formatConditions(parseConditions(text))).toBe(text);
  });

  it.each([
    ['', 'does not say of what'],
    ['colour:red', '`colour` is not known'],
    ['cookie:beta', 'has neither'],
    ['cookie:=1', 'cannot be the name'],
    ['header:x team=qa', 'cannot be the name'],
    ['cookie:beta=', 'empty'],
    ['ip:10.0.0.0/33', 'neither an address'],
    ['ip:office', 'neither an address'],
    ['percent:101', 'no number from 0 to 100'],
    ['percent:-1', 'no number from 0 to 100'],
    ['device:~(a+)+', 'repeats a group'],
    ['device:~(?=a)', 'looks around'],
    [String.raw`device:~(a)\1`, 'back-reference'],
    ['device:~a*b*c*', 'too many repetitions'],
    ['device:~[', 'cannot be a gray rule'],
  ])('are refused with the reason: %s', (text, reason) => {
    expect(() => parseConditions(text)).toThrow(reason);
  });

  it('never fail otherwise than in words', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        for (const prefix of ['', 'device:~', 'cookie:a~', 'ip:', 'percent:']) {
          try {
            parseConditions(prefix + text);
          } catch (error) {
            expect(error).toBeInstanceOf(PaasError);
          }
        }
      }),
    );
  });
});

describe('rules', () => {
  it('look at what a request says', () => {
    expect(holds('cookie:beta=1', { cookie: (name) => (name === 'beta' ? '1' : undefined) })).toBe(true);
    expect(holds('header:X-Team=qa', { header: (name) => (name === 'x-team' ? 'qa' : undefined) })).toBe(true);
    expect(holds('ip:192.0.2.0/24')).toBe(true);
    expect(holds('ip:192.0.2.0/24', { address: '::1' })).toBe(false);
  });

  it('hold only when all conditions do; the first one that holds decides', () => {
    const choose = compileRules([
      { release: 2, all: parseConditions('percent:100 and ip:10.0.0.0/8') },
      { release: 3, all: parseConditions('percent:100') },
    ]);
    expect(choose(asker())).toEqual({ release: 3, rule: 1 });
    expect(choose(asker({ address: '10.1.1.1' }))).toEqual({ release: 2, rule: 0 });
  });

  it('by percent take exactly their part of the shares, and grow without losing anybody', () => {
    const those = (text: string) => {
      const choose = compileRules([{ release: 2, all: parseConditions(text) }]);
      return new Set(all.filter((share) => choose(asker({ share: () => share }))));
    };
    expect(those('percent:0').size).toBe(0);
    expect(those('percent:0.01').size).toBe(1);
    let before = new Set<number>();
    for (const percent of [5, 25, 50, 99.5, 100]) {
      const now = those(`percent:${percent}`);
      expect(now.size).toBe(percent * 100);
      for (const share of before) expect(now.has(share)).toBe(true);
      before = now;
    }
  });

  it('by percent for one release say nothing of who is among those for another', () => {
    const releases = [1, 2, 3, 11, 12, 13, 14, 100, 101, 4711, 999_999_999];
    const places = new Map(
      releases.map((release) => [release, all.map((share) => placeIn(share, shareKeys(release)))]),
    );
    for (const [index, one] of releases.entries()) {
      for (const other of releases.slice(index + 1)) {
        for (const [p, q] of [
          [10, 5],
          [10, 10],
          [25, 25],
          [50, 5],
          [50, 50],
          [90, 50],
        ] as const) {
          // prettier-ignore
          const a = places.get(one)!;
          const b = places.get(other)!;
          const both = all.filter((share) => a[share]! < p * 100 && b[share]! < q * 100).length;
          // As of two permutations by chance: hypergeometric, and no pair further off than 4 of its standard deviations.
          const deviation = Math.sqrt(p * q * (1 - p / 100) * (1 - q / 100));
          expect(Math.abs(both - p * q), `v${one} ${p} %, v${other} ${q} %: ${both}`).toBeLessThan(4 * deviation);
        }
      }
    }
  });

  it('by percent leave the later ones their part of the clients who come to them', () => {
    const choose = compileRules([
      { release: 11, all: parseConditions('percent:10') },
      { release: 12, all: parseConditions('percent:10') },
      { release: 13, all: parseConditions('percent:5') },
    ]);
    const counts = new Map<number, number>();
    for (const share of all) {
      const release = choose(asker({ share: () => share }))?.release ?? 0;
      counts.set(release, (counts.get(release) ?? 0) + 1);
    }
    expect(counts.get(11)).toBe(1000);
    expect(counts.get(12)! / 9000).toBeCloseTo(0.1, 2);
    expect(counts.get(13)! / 8100).toBeCloseTo(0.05, 2);
  });

  it('search a bounded part of a text, so that no request can hold a router up', () => {
    const pattern = readPattern('^.*.*x$');
    expect(pattern.test('a'.repeat(maxSearched))).toBe(false);
    expect(holds('device:~end$', { header: () => `${' '.repeat(maxSearched)}end` })).toBe(false);
  });
});

describe('shares', () => {
  const key = Buffer.alloc(32, 1);

  it('have one place each in the order of every release', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 31 }), (release) => {
        const keys = shareKeys(release);
        expect(new Set(all.map((share) => placeIn(share, keys))).size).toBe(shares);
      }),
      { numRuns: 20 },
    );
  });

  it('are read back from their cookies, and from no others', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: shares - 1 }), (share) => {
        const value = /^[^=]+=([^;]+)/.exec(shareCookie(key, 'app_1', share))![1]!;
        expect(readShare(key, 'app_1', value)).toBe(share);
        expect(readShare(key, 'app_2', value)).toBeNull();
        expect(readShare(Buffer.alloc(32, 2), 'app_1', value)).toBeNull();
        expect(readShare(key, 'app_1', `1${value}`)).toBeNull();
      }),
    );
  });

  it('spread addresses evenly, otherwise for each app', () => {
    const of = (app: string) =>
      Array.from({ length: 1000 }, (_, n) => shareOfAddress(key, app, `10.0.${n >> 8}.${n & 255}`) < shares / 10);
    const first = of('app_1').filter(Boolean).length;
    expect(first).toBeGreaterThan(60);
    expect(first).toBeLessThan(140);
    expect(of('app_1')).not.toEqual(of('app_2'));
  });
});
