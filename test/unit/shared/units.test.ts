import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PaasError } from '../../../src/shared/errors.ts';
import {
  formatDuration,
  formatFormation,
  formatSize,
  parseDuration,
  parseFormation,
  parseSize,
} from '../../../src/shared/units.ts';

describe('sizes', () => {
  test.each([
    ['256M', 256],
    ['256MB', 256],
    ['256MiB', 256],
    ['256mb', 256],
    ['1G', 1024],
    ['1.5G', 1536],
    ['2048K', 2],
    ['1T', 1024 * 1024],
    [' 64 M ', 64],
  ])('%s is %d MiB', (text, mib) => {
    expect(parseSize(text)).toBe(mib);
  });

  test.each(['', '256', 'M', '0M', '-1M', '1.5M', '512K', '1P', '1e3M', '99999999999999999999G', '1 M M', '٣M'])(
    '%j is refused with what to write',
    (text) => {
      expect(() => parseSize(text)).toThrow(
        expect.objectContaining({ code: 'usage', hint: expect.stringContaining('256M') }),
      );
    },
  );

  test('are printed as they are read', () => {
    expect(formatSize(1024)).toBe('1G');
    expect(formatSize(1536)).toBe('1536M');
    fc.assert(fc.property(fc.integer({ min: 1, max: 1e9 }), (mib) => parseSize(formatSize(mib)) === mib));
  });
});

describe('durations', () => {
  test.each([
    ['500ms', 500],
    ['60s', 60_000],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['1h30m', 5_400_000],
    ['1.5s', 1500],
    ['1d', 86_400_000],
    ['0', 0],
    ['0s', 0],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each(['', '60', 's', '-5s', '5 m', '1y', '5mm', '1s,2s', '9'.repeat(12) + 'd'.repeat(2)])(
    '%j is refused',
    (text) => {
      expect(() => parseDuration(text)).toThrow(PaasError);
    },
  );

  test('are printed as they are read', () => {
    expect(formatDuration(5_400_000)).toBe('1h30m');
    expect(formatDuration(90_500)).toBe('1m30s500ms');
    fc.assert(fc.property(fc.integer({ min: 0, max: 1e12 }), (ms) => parseDuration(formatDuration(ms)) === ms));
  });
});

describe('formation words', () => {
  test.each([
    ['web=3', { type: 'web', op: '=', count: 3 }],
    ['worker+1', { type: 'worker', op: '+', count: 1 }],
    ['worker-1', { type: 'worker', op: '-', count: 1 }],
    ['my-worker-2', { type: 'my-worker', op: '-', count: 2 }],
    ['web=0', { type: 'web', op: '=', count: 0 }],
  ])('%s', (word, change) => {
    expect(parseFormation(word)).toEqual(change);
  });

  test.each(['web', 'web=', '=3', 'web=-1', 'web=1.5', 'Web=1', 'web=1001', 'web==1', 'web=3 worker=1'])(
    '%s is refused',
    (word) => {
      expect(() => parseFormation(word)).toThrow(expect.objectContaining({ code: 'usage' }));
    },
  );

  test('a printed formation is read back word by word', () => {
    const text = formatFormation([
      ['web', 3],
      ['my-worker', 0],
    ]);
    expect(text).toBe('web=3 my-worker=0');
    expect(text.split(' ').map(parseFormation)).toEqual([
      { type: 'web', op: '=', count: 3 },
      { type: 'my-worker', op: '=', count: 0 },
    ]);
  });
});

test('any text gives a value or a typed error', () => {
  for (const parse of [parseSize, parseDuration, parseFormation]) {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        try {
          parse(text);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(PaasError);
        }
      }),
    );
  }
});
