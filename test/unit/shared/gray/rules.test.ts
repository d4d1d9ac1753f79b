import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileRules, type Asker } from '../../../../src/shared/gray/choose.ts';
import { maxSearched, readPattern } from '../../../../src/shared/gray/pattern.ts';
import { formatConditions, parseConditions } from '../../../../src/shared/gray/rules-text.ts';
import { readShare, shareCookie, shareOfAddress, shares } from '../../../../src/shared/gray/sticky.ts';
import { PaasError } from '../../../../src/shared/errors.ts';

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
    ['device:~a*b*c*', 'more than 2 unbounded'],
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
    expect(holds('percent:50', { share: () => 4999 })).toBe(true);
    expect(holds('percent:50', { share: () => 5000 })).toBe(false);
  });

  it('hold only when all conditions do; the first one that holds decides', () => {
    const choose = compileRules([
      { release: 2, all: parseConditions('percent:100 and ip:10.0.0.0/8') },
      { release: 3, all: parseConditions('percent:100') },
    ]);
    expect(choose(asker())).toEqual({ release: 3, rule: 1 });
    expect(choose(asker({ address: '10.1.1.1' }))).toEqual({ release: 2, rule: 0 });
  });

  it('search a bounded part of a text, so that no request can hold a router up', () => {
    const pattern = readPattern('.*.*x$');
    expect(pattern.test('a'.repeat(maxSearched))).toBe(false);
    expect(holds('device:~end$', { header: () => `${' '.repeat(maxSearched)}end` })).toBe(false);
  });
});

describe('shares', () => {
  const key = Buffer.alloc(32, 1);

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
