import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  hostsNeeded,
  place,
  type PlacedInstance,
  type PlacementInput,
} from '../../../../src/engines/agents/placement.ts';
import { sameBatch, type Workload } from '../../../../src/engines/port.ts';

const memory = fc.constantFrom(64, 256, 512, 1024);
const hostId = fc.constantFrom('h1', 'h2', 'h3');
const batch = fc.record({ release: fc.integer({ min: 1, max: 3 }), epoch: fc.integer({ min: 0, max: 1 }) });
const processType = fc.constantFrom('web', 'worker');

const placedInstance = fc.record({
  place: batch,
  processType,
  appId: fc.constantFrom('a', 'b'),
  ordinal: fc.integer({ min: 1, max: 6 }),
  hostId: fc.option(hostId),
  memoryMb: memory,
  staying: fc.boolean(),
  healthy: fc.boolean(),
});

const input: fc.Arbitrary<PlacementInput> = fc.record({
  appId: fc.constant('a'),
  hosts: fc.uniqueArray(fc.record({ id: hostId, memoryMb: fc.integer({ min: 0, max: 4096 }), open: fc.boolean() }), {
    selector: ({ id }) => id,
  }),
  instances: fc
    .uniqueArray(placedInstance, {
      maxLength: 20,
      // Staying copies of one batch have ordinals of their own.
      selector: (i) => JSON.stringify([i.appId, i.place, i.processType, i.ordinal, i.staying]),
    })
    .map((list) => list.map(({ place: where, ...rest }, n): PlacedInstance => ({ id: `i${n}`, ...where, ...rest }))),
  workloads: fc
    .uniqueArray(fc.record({ batch, processType, count: fc.integer({ min: 0, max: 5 }), memoryMb: memory }), {
      maxLength: 4,
      selector: (w) => JSON.stringify([w.batch, w.processType]),
    })
    .map((list) => list.map(({ batch: b, ...w }): Workload => ({ ...b, ...w, kind: 'worker', cpu: null }))),
});

describe('any placement', () => {
  it('gives every workload its count: never more, never fewer', () => {
    fc.assert(
      fc.property(input, (given) => {
        const { create, leave } = place(given);
        const gone = new Set(leave);
        for (const workload of given.workloads) {
          const same = (i: { processType: string; release: number; epoch: number }) =>
            i.processType === workload.processType && sameBatch(i, workload);
          const kept = given.instances.filter((i) => i.appId === 'a' && i.staying && same(i) && !gone.has(i.id));
          const made = create.filter((c) => same(c.workload));
          expect(kept.length + made.length).toBe(workload.count);
          const ordinals = [...kept, ...made].map(({ ordinal }) => ordinal);
          expect(new Set(ordinals).size).toBe(ordinals.length);
        }
      }),
    );
  });

  it('never gives out more memory than a host has free, and nothing on closed hosts', () => {
    fc.assert(
      fc.property(input, (given) => {
        const { create, assign } = place(given);
        const added = new Map<string, number>();
        const add = (id: string | null, memoryMb: number) =>
          id !== null && added.set(id, (added.get(id) ?? 0) + memoryMb);
        for (const { workload, hostId: id } of create) add(id, workload.memoryMb);
        for (const { id, hostId: target } of assign) add(target, given.instances.find((i) => i.id === id)!.memoryMb);
        for (const [id, memoryMb] of added) {
          const host = given.hosts.find((h) => h.id === id);
          expect(host?.open).toBe(true);
          const used = given.instances.reduce((sum, i) => sum + (i.hostId === id ? i.memoryMb : 0), 0);
          expect(used + memoryMb).toBeLessThanOrEqual(host!.memoryMb);
        }
      }),
    );
  });

  it('touches only instances of its app that stay and that are there', () => {
    fc.assert(
      fc.property(input, (given) => {
        const { assign, leave } = place(given);
        const ours = new Map(given.instances.filter((i) => i.appId === 'a' && i.staying).map((i) => [i.id, i]));
        expect(new Set(leave).size).toBe(leave.length);
        for (const id of leave) expect(ours.has(id)).toBe(true);
        for (const { id } of assign) {
          expect(ours.get(id)?.hostId).toBeNull();
          expect(leave).not.toContain(id);
        }
      }),
    );
  });

  it('is the same for the same facts, in whatever order they come', () => {
    fc.assert(
      fc.property(input, (given) => {
        const shuffled = { ...given, hosts: [...given.hosts].reverse(), instances: [...given.instances].reverse() };
        const { leave, ...rest } = place(given);
        const again = place(shuffled);
        expect({ create: again.create, assign: again.assign }).toEqual(rest);
        expect([...again.leave].sort()).toEqual([...leave].sort());
      }),
    );
  });

  it('has nothing left to do when it has been carried out', () => {
    fc.assert(
      fc.property(input, (given) => {
        const { create, assign, leave } = place(given);
        const instances = given.instances.map((i) => ({
          ...i,
          staying: i.staying && !leave.includes(i.id),
          hostId: assign.find(({ id }) => id === i.id)?.hostId ?? i.hostId,
        }));
        const made = create.map(({ workload, ordinal, hostId: target }, n) => ({
          ...{ id: `new${n}`, appId: 'a', release: workload.release, epoch: workload.epoch, ordinal, hostId: target },
          ...{ processType: workload.processType, memoryMb: workload.memoryMb, staying: true, healthy: false },
        }));
        expect(place({ ...given, instances: [...instances, ...made] })).toEqual({ create: [], assign: [], leave: [] });
      }),
    );
  });

  it('needs no more hosts than there are instances, and enough for all of them', () => {
    fc.assert(
      fc.property(fc.array(memory, { maxLength: 20 }), fc.constantFrom(1024, 4096), (waiting, size) => {
        const hosts = Array.from({ length: hostsNeeded(waiting, size) }, (_, n) => ({ id: `n${n}`, memoryMb: size }));
        expect(hosts.length).toBeLessThanOrEqual(waiting.length);
        expect(hosts.length * size).toBeGreaterThanOrEqual(waiting.reduce((sum, mb) => sum + mb, 0));
      }),
    );
  });
});
