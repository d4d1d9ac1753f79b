import { describe, expect, it } from 'vitest';
import { bucketOf, Traffic } from '../../../../src/router/embedded/traffic.ts';
import { latencyBounds, routerTraffic } from '../../../../src/shared/contracts/routes.ts';

describe('the latency histogram', () => {
  it('has every time in the first bucket whose bound it does not exceed', () => {
    for (let ms = 0; ms < 50_000; ms++) {
      const first = latencyBounds.findIndex((bound) => ms <= bound);
      expect(bucketOf(ms)).toBe(first === -1 ? latencyBounds.length : first);
    }
  });
});

describe('Traffic', () => {
  it('counts by release and class, leaves out what nobody asked, and 101 out of the histogram', () => {
    const traffic = new Traffic();
    const one = traffic.of('a', 1);
    traffic.of('a', 2);
    for (const status of [200, 204, 404, 499, 502]) one.ended(status, 3);
    one.ended(101, 60_000);
    const { counts } = routerTraffic.parse(traffic.read(new Map()));
    expect(counts).toHaveLength(1);
    expect(counts[0]).toMatchObject({ appId: 'a', release: 1, classes: [1, 2, 0, 2, 1], open: 0 });
    expect(counts[0]!.latency[bucketOf(3)]).toBe(5);
    expect(counts[0]!.latency.reduce((sum, number) => sum + number)).toBe(5);
  });

  it('shows a release with its first request still under way', () => {
    const traffic = new Traffic();
    expect(traffic.read(new Map([[traffic.of('a', 1), 2]])).counts[0]).toMatchObject({ open: 2 });
  });

  it('keeps counters of releases that are gone, but not of all that ever were', () => {
    const traffic = new Traffic();
    const kept = traffic.of('a', 1);
    for (let release = 2; release < 20_000; release++) traffic.of('a', release).ended(200, 1);
    traffic.prune(new Set([kept]));
    expect(traffic.of('a', 1)).toBe(kept);
    const releases = traffic.read(new Map()).counts.map(({ release }) => release);
    expect(releases).toHaveLength(10_000);
    expect(releases.at(-1)).toBe(19_999);
  });
});
