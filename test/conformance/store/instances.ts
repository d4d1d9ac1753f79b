import { describe, expect, it } from 'vitest';
import { AgentsEngine, type Snapshot } from '../../../src/engines/agents/engine.ts';
import type { Workload } from '../../../src/engines/port.ts';
import { Serial } from '../../../src/shared/serial.ts';
import { SqlInstances } from '../../../src/control/store/instances.ts';
import type { Store } from '../../../src/control/store/open.ts';
import { hostRow } from '../../support/rows.ts';
import type { Stores } from '../store.suite.ts';

const web = (count: number, release = 1): Workload => ({
  ...{ release, epoch: 0, processType: 'web', kind: 'web', count, memoryMb: 512, cpu: null },
});

function setUp(store: Store) {
  const told: { hosts: string[]; waiting: boolean }[] = [];
  const instances = new SqlInstances(store, {
    changed: (hosts, waiting) => told.push({ hosts: [...hosts].sort(), waiting }),
  });
  const rows = () => store.db.selectFrom('instances').selectAll().orderBy('ordinal').execute();
  const generations = async () =>
    Object.fromEntries((await store.db.selectFrom('hosts').selectAll().execute()).map((h) => [h.id, h.generation]));
  return { instances, engine: new AgentsEngine(instances, new Serial()), told, rows, generations };
}

export function instances(stores: Stores): void {
  describe('instances', () => {
    it('are placed, told to their hosts by a generation, and observed', async () => {
      const store = await stores.open();
      await store.db
        .insertInto('hosts')
        .values([hostRow('a'), hostRow('b')])
        .execute();
      const { engine, told, generations } = setUp(store);
      await engine.apply('app_1', [web(2)]);
      expect(told).toEqual([{ hosts: ['a', 'b'], waiting: false }]);
      expect(await generations()).toEqual({ a: 1, b: 1 });
      const { instances: seen } = await engine.observe('app_1');
      expect(seen.map((i) => [i.processType, i.ordinal, i.state, i.leaving, i.host]).sort()).toEqual([
        ['web', 1, 'pending', false, 'name-a'],
        ['web', 2, 'pending', false, 'name-b'],
      ]);
      await engine.apply('app_1', [web(2)]);
      expect(told).toHaveLength(1);
      expect(await generations()).toEqual({ a: 1, b: 1 });
    });

    it('wait for a host and take it when it comes', async () => {
      const store = await stores.open();
      const { engine, told, rows } = setUp(store);
      await engine.apply('app_1', [web(1)]);
      expect(told).toEqual([{ hosts: [], waiting: true }]);
      expect(await rows()).toMatchObject([{ host_id: null, message: 'waits for a host with room' }]);
      await store.db.insertInto('hosts').values(hostRow('a')).execute();
      await engine.apply('app_1', [web(1)]);
      expect(await rows()).toMatchObject([{ host_id: 'a', message: null }]);
    });

    it('leave by draining where they were placed, at once where they only waited', async () => {
      const store = await stores.open();
      await store.db
        .insertInto('hosts')
        .values(hostRow('a', { memory_mb: 512 }))
        .execute();
      const { engine, rows, generations } = setUp(store);
      await engine.apply('app_1', [web(2)]);
      await engine.apply('app_1', []);
      const [placed, waiting] = (await rows()).sort((x) => (x.host_id === null ? 1 : -1));
      expect(placed).toMatchObject({ desired: 'drain', ended_at: null });
      expect(placed!.drain_at).toBeGreaterThan(0);
      expect(waiting).toMatchObject({ desired: 'stop', state: 'stopped' });
      expect(waiting!.ended_at).toBeGreaterThan(0);
      expect((await generations())['a']).toBe(2);
      const since = placed!.drain_at;
      await engine.apply('app_1', []);
      expect((await rows()).find((row) => row.host_id === 'a')!.drain_at).toBe(since);
      const { instances: seen } = await engine.observe('app_1');
      expect(seen).toMatchObject([{ leaving: true }]);
    });

    it('never share memory that is there once, when apps are looked at at the same moment', async () => {
      const store = await stores.open();
      await store.db
        .insertInto('hosts')
        .values(hostRow('a', { memory_mb: 1024 }))
        .execute();
      const { instances, rows } = setUp(store);
      // Each with an engine of its own, as on several servers.
      const apply = (app: string) => new AgentsEngine(instances, new Serial()).apply(app, [web(1)]);
      await Promise.all(['app_1', 'app_2', 'app_3', 'app_4'].map(apply));
      const placed = (await rows()).filter((row) => row.host_id === 'a');
      expect(placed).toHaveLength(2);
      expect(await rows()).toHaveLength(4);
    });

    it('are decided on what is there when the change is made', async () => {
      const store = await stores.open();
      await store.db.insertInto('hosts').values(hostRow('a')).execute();
      const { instances, rows } = setUp(store);
      const once = ({ instances: present }: Snapshot) => ({
        create: present.length > 0 ? [] : [{ workload: web(1), ordinal: 1, hostId: 'a' }],
        ...{ assign: [], leave: [] },
      });
      await Promise.all([instances.change('app_1', once), instances.change('app_1', once)]);
      expect(await rows()).toHaveLength(1);
    });

    it('that run once take room and are left alone', async () => {
      const store = await stores.open();
      await store.db
        .insertInto('hosts')
        .values(hostRow('a', { memory_mb: 512 }))
        .execute();
      const { engine, instances, rows } = setUp(store);
      await instances.change('app_1', () => ({
        create: [{ workload: { ...web(1), processType: 'job', kind: 'task' }, ordinal: 1, hostId: 'a' }],
        ...{ assign: [], leave: [] },
      }));
      await engine.apply('app_1', [web(1)]);
      expect((await rows()).map((row) => [row.process_type, row.host_id, row.desired]).sort()).toEqual([
        ['job', 'a', 'run'],
        ['web', null, 'run'],
      ]);
      expect((await engine.observe('app_1')).instances.map((i) => i.processType)).toEqual(['web']);
    });
  });
}
