import { beforeEach, describe, expect, it } from 'vitest';
import { requestsOf } from '../../../../src/control/traffic/counts.ts';
import { Traffic } from '../../../../src/control/traffic/traffic.ts';
import { appTraffic } from '../../../../src/control/traffic/view.ts';
import type { TrafficCount } from '../../../../src/shared/contracts/routes.ts';
import { word } from './requests.ts';

const minute = 60_000;
let traffic: Traffic;
let now: number;
beforeEach(() => {
  now = 1e12;
  traffic = new Traffic(now);
});

const say = (host: string, epoch: string, ...counts: TrafficCount[]): string[] => [
  ...traffic.report(host, { epoch, counts }, now),
];
const total = (release: number): number => requestsOf(traffic.total('app_1', release));

describe('what routers saw', () => {
  it('counts from the first word of each router on', () => {
    expect(say('r1', 'a', word(1, { ok: 500 }))).toEqual([]);
    expect(total(1)).toBe(0);
    expect(say('r1', 'a', word(1, { ok: 510 }), word(2, { ok: 3 }))).toEqual(['app_1']);
    expect([total(1), total(2)]).toEqual([10, 3]);
    expect(say('r1', 'a', word(1, { ok: 510 }, { open: 4 }))).toEqual([]);
  });

  it('sums over routers', () => {
    say('r1', 'a');
    say('r2', 'b');
    say('r1', 'a', word(1, { ok: 5 }));
    say('r2', 'b', word(1, { ok: 7 }));
    expect(total(1)).toBe(12);
  });

  it('never goes back when a router begins anew', () => {
    say('r1', 'a');
    say('r1', 'a', word(1, { ok: 100 }));
    say('r1', 'b', word(1, { ok: 2 }));
    expect(total(1)).toBe(102);
    say('r1', 'b', word(1, { ok: 5 }));
    expect(total(1)).toBe(105);
    // Counters that fall within one life were dropped and begun anew.
    say('r1', 'b', word(1, { ok: 1 }));
    expect(total(1)).toBe(106);
  });

  it('takes the whole that a new link says for what it is: mostly known', () => {
    say('r1', 'a');
    say('r1', 'a', word(1, { ok: 100 }));
    say('r1', 'a', word(1, { ok: 104 }));
    expect(total(1)).toBe(104);
  });
});

describe('the requests of the last minutes', () => {
  it('are shown for each release that had any, the newest first', () => {
    say('r1', 'a');
    say('r1', 'a', word(1, { ok: 90, failed: 10, ms: 100 }, { open: 2 }), word(2, { ok: 1 }));
    expect(appTraffic(traffic, 'app_1', now)).toEqual({
      since: new Date(now).toISOString(),
      releases: [
        expect.objectContaining({ release: 2, requests: 1, open: 0 }),
        {
          ...{ release: 1, requests: 100, classes: [0, 90, 0, 0, 10], open: 2 },
          ...{ p50: expect.closeTo(101.5), p95: expect.closeTo(111.85), p99: expect.closeTo(112.77) },
        },
      ],
    });
    expect(appTraffic(traffic, 'app_2', now).releases).toEqual([]);
  });

  it('forget what is older', () => {
    say('r1', 'a');
    for (let n = 1; n <= 12; n++, now += minute) say('r1', 'a', word(1, { ok: n * 10 }));
    const { since, releases } = traffic.recent('app_1', now);
    expect(since).toBe(now - 5 * minute);
    expect(requestsOf(releases[0]!.counts)).toBe(50);
    now += 10 * minute;
    expect(traffic.recent('app_1', now).releases).toEqual([]);
  });

  it('show connections that are open since long ago', () => {
    say('r1', 'a', word(1, {}, { open: 3 }));
    expect(traffic.recent('app_1', now).releases).toMatchObject([{ release: 1, open: 3 }]);
  });
});

describe('what is kept', () => {
  const known = { hosts: new Set(['r1']), apps: new Set(['app_1']) };
  const prune = (change: Partial<typeof known> = {}, watched: string[] = []): void =>
    traffic.prune({ ...known, ...change }, new Set(watched), now);

  it('ends with the app, and with its host', () => {
    say('r1', 'a');
    say('r1', 'a', word(1, { ok: 5 }, { open: 1 }));
    prune({ hosts: new Set() });
    expect(traffic.recent('app_1', now).releases).toMatchObject([{ open: 0 }]);
    expect(total(1)).toBe(5);
    prune({ apps: new Set() });
    expect(total(1)).toBe(0);
  });

  it('forgets releases without a request for an hour, and does not count them twice when they have one again', () => {
    say('r1', 'a');
    say('r1', 'a', word(1, { ok: 5 }));
    now += 61 * minute;
    prune({}, ['app_1']);
    expect(total(1)).toBe(5);
    prune();
    expect(total(1)).toBe(0);
    say('r1', 'a', word(1, { ok: 6 }));
    say('r1', 'a', word(1, { ok: 8 }));
    expect(total(1)).toBe(2);
  });
});
