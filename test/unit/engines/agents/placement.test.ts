import { describe, expect, it } from 'vitest';
import {
  hostsNeeded,
  place,
  type PlacedInstance,
  type PlacementHost,
} from '../../../../src/engines/agents/placement.ts';
import type { Workload } from '../../../../src/engines/port.ts';

const host = (id: string, memoryMb = 4096, open = true): PlacementHost => ({ id, memoryMb, open });
const workload = (count: number, change: Partial<Workload> = {}): Workload => ({
  ...{ release: 1, epoch: 0, processType: 'web', kind: 'web', count, memoryMb: 512, cpu: null },
  ...change,
});
const instance = (ordinal: number, hostId: string | null, change: Partial<PlacedInstance> = {}): PlacedInstance => ({
  ...{ id: `i${ordinal}`, appId: 'a', release: 1, epoch: 0, processType: 'web', ordinal, hostId, memoryMb: 512 },
  ...{ staying: true, healthy: true },
  ...change,
});
const hostsOf = ({ create }: ReturnType<typeof place>) => create.map(({ hostId }) => hostId);

describe('placing', () => {
  it('spreads copies of a process over hosts', () => {
    const placed = place({
      appId: 'a',
      hosts: [host('h1'), host('h2'), host('h3')],
      instances: [],
      workloads: [workload(5)],
    });
    expect(hostsOf(placed)).toEqual(['h1', 'h2', 'h3', 'h1', 'h2']);
    expect(placed.create.map(({ ordinal }) => ordinal)).toEqual([1, 2, 3, 4, 5]);
  });

  it('prefers the emptier host among equals, then the first by name, in whatever order they are named', () => {
    const other = instance(1, 'h1', { id: 'x', appId: 'other', memoryMb: 1024 });
    const workloads = [workload(1)];
    expect(hostsOf(place({ appId: 'a', hosts: [host('h1'), host('h2')], instances: [other], workloads }))).toEqual([
      'h2',
    ]);
    expect(hostsOf(place({ appId: 'a', hosts: [host('h2'), host('h1')], instances: [], workloads }))).toEqual(['h1']);
  });

  it('counts copies of other releases, so that a rollout is spread too', () => {
    const old = instance(1, 'h1', { release: 1 });
    const workloads = [workload(1), workload(1, { release: 2 })];
    expect(hostsOf(place({ appId: 'a', hosts: [host('h1'), host('h2')], instances: [old], workloads }))).toEqual([
      'h2',
    ]);
  });

  it('lets instances wait where no host has room', () => {
    const placed = place({ appId: 'a', hosts: [host('h1', 1024)], instances: [], workloads: [workload(3)] });
    expect(hostsOf(placed)).toEqual(['h1', 'h1', null]);
  });

  it('gives nothing to hosts that are closed, and leaves what is there', () => {
    const placed = place({
      ...{ appId: 'a', hosts: [host('h1', 4096, false)], instances: [instance(1, 'h1')] },
      workloads: [workload(2)],
    });
    expect(placed).toMatchObject({ create: [{ ordinal: 2, hostId: null }], leave: [] });
  });

  it('gives waiting instances the room that came, before any new one', () => {
    const placed = place({
      ...{ appId: 'a', hosts: [host('h1', 1024)] },
      instances: [instance(2, null), instance(1, null, { id: 'i1' })],
      workloads: [workload(3)],
    });
    expect(placed.assign).toEqual([
      { id: 'i1', hostId: 'h1' },
      { id: 'i2', hostId: 'h1' },
    ]);
    expect(placed.create).toMatchObject([{ ordinal: 3, hostId: null }]);
  });

  it('keeps room for those that are leaving until they are gone', () => {
    const leaving = instance(1, 'h1', { staying: false });
    const placed = place({ appId: 'a', hosts: [host('h1', 512)], instances: [leaving], workloads: [workload(1)] });
    expect(hostsOf(placed)).toEqual([null]);
  });

  it('fills the gaps between ordinals', () => {
    const placed = place({
      ...{
        appId: 'a',
        hosts: [host('h1')],
        instances: [instance(2, 'h1'), instance(4, 'h1')],
        workloads: [workload(4)],
      },
    });
    expect(placed.create.map(({ ordinal }) => ordinal)).toEqual([1, 3]);
  });
});

describe('surplus', () => {
  const leave = (instances: PlacedInstance[], count: number) =>
    place({ appId: 'a', hosts: [host('h1'), host('h2')], instances, workloads: [workload(count)] }).leave;

  it('leaves unhealthy first, and waiting first among these', () => {
    const instances = [instance(1, 'h1', { healthy: false }), instance(2, 'h2'), instance(3, null, { healthy: false })];
    expect(leave(instances, 2)).toEqual(['i3']);
    expect(leave(instances, 1)).toEqual(['i3', 'i1']);
  });

  it('leaves from the fullest host, and keeps hosts even', () => {
    const instances = [1, 2, 3, 4].map((n) => instance(n, 'h1')).concat([5, 6, 7].map((n) => instance(n, 'h2')));
    expect(leave(instances, 3).sort()).toEqual(['i3', 'i4', 'i6', 'i7']);
  });

  it('leaves the highest ordinal among equals', () => {
    expect(leave([instance(1, 'h1'), instance(2, 'h1'), instance(3, 'h1')], 1)).toEqual(['i3', 'i2']);
  });

  it('leaves first what is to be replaced, whose ordinal is free for the one that takes its place', () => {
    const instances = [instance(1, 'h1', { replacing: true }), instance(2, 'h2')];
    const grown = place({ appId: 'a', hosts: [host('h1'), host('h2')], instances, workloads: [workload(3)] });
    expect(grown.create).toMatchObject([{ ordinal: 1 }]);
    expect(leave([...instances, instance(1, 'h1', { id: 'new', healthy: false })], 2)).toEqual(['i1']);
  });

  it('is everything that no workload names: other releases, epochs and process types', () => {
    const instances = [
      ...[instance(1, 'h1', { id: 'old', release: 0 }), instance(1, 'h1', { id: 'epoch', epoch: 1 })],
      ...[instance(1, 'h1', { id: 'type', processType: 'worker' }), instance(1, 'h1')],
      instance(1, 'h1', { id: 'foreign', appId: 'b', release: 0 }),
    ];
    expect(leave(instances, 1)).toEqual(['old', 'epoch', 'type']);
  });
});

describe('how many hosts are needed', () => {
  it.each([
    ['nothing waits', [], 0],
    ['what fits in one', [512, 512, 1024], 1],
    ['large ones first', [1024, 3072, 3072, 1024], 2],
    ['what is larger than any host is passed over', [8192, 512], 1],
  ])('%s', (_, waiting, expected) => {
    expect(hostsNeeded(waiting, 4096)).toBe(expected);
  });
});
