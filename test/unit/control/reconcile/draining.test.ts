/** Instances that leave are stopped when no router sends to them and nothing is open any more. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Routing } from '../../../../src/control/reconcile/routing.ts';
import { addRouter } from '../../../support/control.ts';
import { routedApp, type RoutedApp } from './routed-app.ts';

let control: RoutedApp['control'];
let router: RoutedApp['router'];
let add: RoutedApp['add'];
let set: RoutedApp['set'];
beforeEach(async () => {
  ({ control, router, add, set } = await routedApp());
});
afterEach(() => control.close());

const desired = async (id: string) =>
  (await control.store.db.selectFrom('instances').select('desired').where('id', '=', id).executeTakeFirstOrThrow())
    .desired;
const leave = (id: string, at = Date.now()) => set(id, { desired: 'drain', drain_at: at, drain_version: null });

describe('a leaving instance', () => {
  beforeEach(async () => {
    await add('i1');
    await add('i2', { ordinal: 2 });
    await control.routing.reconcile();
    router.acknowledge();
  });

  it('stops when routers have the table without it and its last request has ended', async () => {
    await leave('i1');
    expect((await control.routing.reconcile()).stopped).toEqual([]);
    expect(await desired('i1')).toBe('drain');
    router.acknowledge({ i1: 2 });
    expect((await control.routing.reconcile()).stopped).toEqual([]);
    router.acknowledge({});
    expect((await control.routing.reconcile()).stopped).toEqual(['app_1']);
    expect(await desired('i1')).toBe('stop');
    expect(await desired('i2')).toBe('run');
    const host = await control.store.db
      .selectFrom('hosts')
      .select('generation')
      .where('id', '=', 'a')
      .executeTakeFirst();
    expect(host?.generation).toBe(1);
  });

  it('does not stop by an acknowledgement of an older table', async () => {
    await leave('i1');
    await control.routing.reconcile();
    const older = { version: control.routing.table.version - 1, url: '', driver: 'embedded', open: {}, problems: [] };
    control.routing.report('r1', older);
    expect((await control.routing.reconcile()).stopped).toEqual([]);
  });

  it('waits for every router', async () => {
    const second = await addRouter(control, 'r2');
    await leave('i1');
    await control.routing.reconcile();
    router.acknowledge();
    expect((await control.routing.reconcile()).stopped).toEqual([]);
    second.acknowledge({ i1: 1 });
    expect((await control.routing.reconcile()).stopped).toEqual([]);
    second.acknowledge();
    expect((await control.routing.reconcile()).stopped).toEqual(['app_1']);
  });

  it('stops after the drain time, whatever is still open or whoever does not answer', async () => {
    await leave('i1', 1000);
    await control.routing.reconcile(2000);
    router.acknowledge({ i1: 1 });
    expect((await control.routing.reconcile(30_999)).stopped).toEqual([]);
    expect((await control.routing.reconcile(31_000)).stopped).toEqual(['app_1']);
  });

  it('waits out the drain time while no router is in sight: one may still send to it', async () => {
    control.fakeHub.links.delete('r1');
    await leave('i1', 1000);
    expect((await control.routing.reconcile(2000)).stopped).toEqual([]);
    expect((await control.routing.reconcile(31_000)).stopped).toEqual(['app_1']);
  });

  it('stops at once where no route leads to it', async () => {
    await add('w1', { process_type: 'worker', kind: 'worker' });
    await leave('w1');
    expect((await control.routing.reconcile()).stopped).toEqual(['app_1']);
    expect(await desired('w1')).toBe('stop');
  });

  it('waits for routers and its requests also where its route has gone', async () => {
    await control.store.db.deleteFrom('routes').execute();
    await leave('i1');
    expect((await control.routing.reconcile()).stopped).toEqual([]);
    expect(await desired('i1')).toBe('drain');
    router.acknowledge({ i1: 1 });
    expect((await control.routing.reconcile()).stopped).toEqual([]);
    router.acknowledge();
    expect((await control.routing.reconcile()).stopped).toEqual(['app_1']);
  });

  it('waits for routers and its connections also where its port has gone', async () => {
    await control.store.db
      .insertInto('tcp_ports')
      .values({ port: 20_000, app_id: 'app_1', process_type: 'db' })
      .execute();
    await add('d1', { process_type: 'db', kind: 'service' });
    await control.routing.reconcile();
    router.acknowledge({ d1: 1 });
    await control.store.db.deleteFrom('tcp_ports').execute();
    await control.routing.reconcile();
    router.acknowledge({ d1: 1 });
    await leave('d1', 1000);
    expect((await control.routing.reconcile(2000)).stopped).toEqual([]);
    expect((await control.routing.reconcile(30_999)).stopped).toEqual([]);
    expect((await control.routing.reconcile(31_000)).stopped).toEqual(['app_1']);
  });

  it('without a route stops after the drain time, also when a router is gone', async () => {
    await control.store.db.deleteFrom('routes').execute();
    control.fakeHub.links.delete('r1');
    await leave('i1', 1000);
    expect((await control.routing.reconcile(30_999)).stopped).toEqual([]);
    expect((await control.routing.reconcile(31_000)).stopped).toEqual(['app_1']);
  });

  it('stops at once where it never was in a table, or no router is there', async () => {
    control.fakeHub.links.delete('r1');
    await set('i2', { ready: 0 });
    await add('i3', { ordinal: 3, was_healthy: 0, state: 'starting', ready: 0 });
    await leave('i3');
    expect((await control.routing.reconcile()).stopped).toEqual(['app_1']);
    expect(await desired('i3')).toBe('stop');
    await control.store.db.deleteFrom('hosts').where('id', '=', 'r1').execute();
    await leave('i1');
    expect((await control.routing.reconcile()).stopped).toEqual(['app_1']);
    expect(await desired('i1')).toBe('stop');
  });

  it('is remembered over a restart of the server', async () => {
    await leave('i1');
    await control.routing.reconcile();
    const again = new Routing({ ...control, drainMs: 30_000 });
    expect((await again.reconcile()).stopped).toEqual([]);
    const { version } = again.table;
    again.report('r1', { version, url: '', driver: 'embedded', open: {}, problems: [] });
    expect((await again.reconcile()).stopped).toEqual(['app_1']);
  });
});
