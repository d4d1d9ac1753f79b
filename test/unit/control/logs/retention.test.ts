import { describe, expect, it } from 'vitest';
import { chooseDropped } from '../../../../src/control/logs/retention.ts';
import type { Summary } from '../../../../src/control/logs/segment.ts';

const segment = (n: number, bytes: number, writtenAt: number): Summary => ({
  ...{ n, bytes, writtenAt, lines: 1, ord: n, nextOrd: n + 1 },
  ...{ ts: [0, 0], tags: [] },
});
const app = (appId: string, segments: Summary[], activeBytes = 0) => ({
  appId,
  sealed: segments,
  bytes: segments.reduce((sum, { bytes }) => sum + bytes, activeBytes),
});
const limits = { appBytes: 100, totalBytes: 150, maxAgeMs: 1000 };
const chosen = (apps: ReturnType<typeof app>[], now = 1000) => Object.fromEntries(chooseDropped(apps, limits, now));

describe('retention', () => {
  it('keeps what is within the limits', () => {
    expect(chosen([app('a', [segment(1, 50, 500), segment(2, 50, 600)]), app('b', [])])).toEqual({ a: 0, b: 0 });
  });

  it('drops the oldest of an app that has too much, counting what is being written', () => {
    expect(chosen([app('a', [segment(1, 50, 500), segment(2, 50, 600)], 1)])).toEqual({ a: 1 });
    expect(chosen([app('a', [segment(1, 50, 500), segment(2, 50, 600)], 500)])).toEqual({ a: 2 });
  });

  it('drops what is too old', () => {
    expect(chosen([app('a', [segment(1, 1, 0), segment(2, 1, 500)])], 1001)).toEqual({ a: 1 });
  });

  it('drops the longest unwritten of all apps when all together have too much', () => {
    const apps = [
      app('a', [segment(1, 40, 700), segment(2, 40, 900)]),
      app('b', [segment(1, 40, 600), segment(2, 40, 800)]),
    ];
    expect(chosen(apps)).toEqual({ a: 0, b: 1 });
    expect(chosen([...apps, app('c', [], 60)])).toEqual({ a: 1, b: 1, c: 0 });
  });
});
