import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Routing } from '../../../../src/control/reconcile/routing.ts';
import { certificatePlace } from '../../../../src/control/reconcile/table.ts';
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

describe('the route table', () => {
  it('leads routes to healthy, ready instances, and says what there is otherwise', async () => {
    await control.routing.reconcile();
    expect(control.routing.table.http).toEqual([{ host: 'shop.localhost', path: '/', backend: 'app_1/web' }]);
    expect(control.routing.table.backends['app_1/web']).toMatchObject({ app: 'default/dev/shop', state: 'starting' });
    await add('i1');
    await add('i2', { ordinal: 2, ready: 0 });
    await add('i3', { ordinal: 3, state: 'starting' });
    await add('i4', { ordinal: 4, desired: 'drain' });
    await add('i5', { ordinal: 5, process_type: 'worker' });
    await add('i6', { ordinal: 6, command: 'a one-off' });
    await control.routing.reconcile();
    expect(control.routing.table.backends['app_1/web']).toEqual({
      ...{ app: 'default/dev/shop', appId: 'app_1', state: 'serving' },
      endpoints: [{ instance: 'i1', name: 'web.1', release: 1, address: '127.0.0.1', port: 20_001 }],
    });
    await set('i1', { ended_at: 1 });
    await control.store.db.updateTable('apps').set({ state: 'stopped' }).execute();
    await control.routing.reconcile();
    expect(control.routing.table.backends['app_1/web']).toMatchObject({ state: 'stopped', endpoints: [] });
  });

  it('has a new version when it changes, and only then, which routers are told', async () => {
    await control.routing.reconcile();
    const { version } = control.routing.table;
    expect(control.fakeHub.take()).toEqual([{ host: 'r1', message: { type: 'table', table: control.routing.table } }]);
    await control.routing.reconcile();
    expect(control.routing.table.version).toBe(version);
    expect(control.fakeHub.take()).toEqual([]);
    await add('i1');
    await control.routing.reconcile();
    expect(control.routing.table.version).toBe(version + 1);
    expect(control.fakeHub.take()).toHaveLength(1);
  });

  it('is sent again to a router that has another one, for its link may have missed it', async () => {
    const tables = () => control.fakeHub.take().filter(({ message }) => message.type === 'table').length;
    await control.routing.reconcile(1000);
    router.acknowledge();
    tables();
    control.fakeHub.links.delete('r1');
    await add('i1');
    await control.routing.reconcile(2000);
    expect(tables()).toBe(0);
    control.fakeHub.links.add('r1');
    await control.routing.reconcile(2100);
    await control.routing.reconcile(2200);
    expect(tables()).toBe(1);
    await control.routing.reconcile(3200);
    expect(tables()).toBe(1);
    router.acknowledge();
    await control.routing.reconcile(9000);
    expect(tables()).toBe(0);
  });

  it('is not in force before it is stored, or a restart would give its version to another one', async () => {
    await control.routing.reconcile();
    const { version } = control.routing.table;
    await add('i1');
    await control.store.db.schema.alterTable('meta').renameTo('away').execute();
    await expect(control.routing.reconcile()).rejects.toThrow();
    expect(control.routing.table.version).toBe(version);
    await control.store.db.schema.alterTable('away').renameTo('meta').execute();
    await control.routing.reconcile();
    expect(control.routing.table.version).toBe(version + 1);
    const next = new Routing({ ...control, drainMs: 1000 });
    await next.load();
    expect(next.table).toEqual(control.routing.table);
  });

  it('goes without a certificate whose key does not open, and says so', async () => {
    const row = { source: 'uploaded', chain: 'PEM', attempts: 0, created_at: 1, updated_at: 1 };
    const good = control.sealer.seal('KEY', certificatePlace('good.test'));
    await control.store.db
      .insertInto('certificates')
      .values([
        { ...row, host: 'bad.test', key: good },
        { ...row, host: 'good.test', key: good },
      ])
      .execute();
    await control.routing.reconcile();
    expect(control.routing.tableForRouters()).toMatchObject({
      http: [{ host: 'shop.localhost' }],
      certificates: [{ hosts: ['good.test'], key: 'KEY' }],
    });
    expect(control.routing.summary().problems).toEqual([expect.stringContaining('bad.test')]);
  });

  it('is there after a restart before anything else happens', async () => {
    await add('i1');
    await control.routing.reconcile();
    const again = new Routing({ ...control, drainMs: 1000 });
    await again.load();
    expect(again.table).toEqual(control.routing.table);
    expect(again.table.version).toBeGreaterThan(0);
  });

  it('goes on counting after a restart of the server', async () => {
    await add('i1');
    await control.routing.reconcile();
    const again = new Routing({ ...control, drainMs: 1000 });
    await again.reconcile();
    expect(again.table).toEqual(control.routing.table);
    await set('i1', { ended_at: 1 });
    await again.reconcile();
    expect(again.table.version).toBe(control.routing.table.version + 1);
  });

  it('has a TCP route for the port of a service', async () => {
    await control.store.db
      .insertInto('tcp_ports')
      .values({ port: 20_000, app_id: 'app_1', process_type: 'db' })
      .execute();
    await add('i1', { process_type: 'db', kind: 'service' });
    await control.routing.reconcile();
    expect(control.routing.table.tcp).toEqual([{ port: 20_000, backend: 'app_1/db' }]);
    expect(control.routing.table.backends['app_1/db']?.endpoints).toHaveLength(1);
  });
});

describe('what routers know', () => {
  const reaches = async (id: string, processType = 'web') =>
    (await control.routing.reaching('app_1'))({ id, processType });

  it('is what every connected one has acknowledged', async () => {
    const second = await addRouter(control, 'r2');
    await add('i1');
    await control.routing.reconcile();
    expect(control.routing.isRouted('i1')).toBe(false);
    router.acknowledge();
    expect(control.routing.isRouted('i1')).toBe(false);
    second.acknowledge();
    expect(control.routing.isRouted('i1')).toBe(true);
    expect(await reaches('i1')).toBe(true);
  });

  it('does not matter for what has no route', async () => {
    await control.routing.reconcile();
    expect(await reaches('w1', 'worker')).toBe(true);
    expect(await reaches('i1')).toBe(false);
  });

  it('matters for what has a route that the table has not yet', async () => {
    await add('i1');
    expect(await reaches('i1')).toBe(false);
    await control.routing.reconcile();
    router.acknowledge();
    expect(await reaches('i1')).toBe(true);
  });

  it('is unknown while none is connected, and the same again when it comes back', async () => {
    await add('i1');
    await control.routing.reconcile();
    router.acknowledge();
    control.fakeHub.links.delete('r1');
    expect(control.routing.isRouted('i1')).toBe(false);
    control.fakeHub.links.add('r1');
    expect(control.routing.isRouted('i1')).toBe(true);
  });

  it('is not held up by a router that is out of sight while another one serves', async () => {
    await addRouter(control, 'r2');
    control.fakeHub.links.delete('r2');
    await add('i1');
    await control.routing.reconcile();
    router.acknowledge();
    expect(control.routing.isRouted('i1')).toBe(true);
  });

  it('forgets what a router said whose host is gone', async () => {
    const url = (port: number) => ({
      version: 1,
      url: `http://r:${port}`,
      driver: 'embedded',
      open: {},
      problems: ['p'],
    });
    control.routing.report('r1', url(1));
    await control.store.db.deleteFrom('hosts').where('id', '=', 'r1').execute();
    await addRouter(control, 'r2');
    control.routing.report('r2', url(2));
    await control.routing.reconcile();
    expect(control.routing.summary()).toMatchObject({ url: 'http://r:2', problems: ['p'] });
  });

  it('says when something may follow from a report', () => {
    const status = { version: 1, url: 'http://r', driver: 'embedded', open: {}, problems: [] };
    expect(control.routing.report('r1', status)).toBe(true);
    expect(control.routing.report('r1', status)).toBe(false);
    expect(control.routing.report('r1', { ...status, open: { i1: 1 } })).toBe(true);
    expect(control.routing.report('r1', { ...status, version: 2, open: { i1: 1 } })).toBe(true);
  });
});
