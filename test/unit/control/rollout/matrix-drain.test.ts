/** When an instance that leaves gets its SIGTERM, with several routers. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { addHost, addRouter, makeControl, type TestControl } from '../../../support/control.ts';
import { appRow, instanceRow } from '../../../support/rows.ts';

let control: TestControl;
let routers: Awaited<ReturnType<typeof addRouter>>[];
beforeEach(async () => {
  control = await makeControl();
  await addHost(control, 'a');
  routers = [await addRouter(control, 'r1'), await addRouter(control, 'r2')];
  const { db } = control.store;
  await db
    .insertInto('apps')
    .values(appRow('app_1', { release: 1 }))
    .execute();
  await db
    .insertInto('routes')
    .values({ host: 'shop.localhost', path: '/', app_id: 'app_1', process_type: 'web', created_at: 1 })
    .execute();
  await db.insertInto('instances').values(instanceRow('i1')).execute();
  await control.routing.reconcile(1000);
  for (const router of routers) router.acknowledge();
});
afterEach(() => control.close());

const leave = () =>
  control.store.db.updateTable('instances').set({ desired: 'drain', drain_at: 1000 }).where('id', '=', 'i1').execute();
const stopped = async (now: number) => (await control.routing.reconcile(now)).stopped;

it('not while a router that is out of sight may still send to it, but after the drain time', async () => {
  await leave();
  control.fakeHub.links.delete('r2');
  await stopped(1100);
  routers[0]!.acknowledge();
  expect(await stopped(20_000)).toEqual([]);
  expect(await stopped(31_000)).toEqual(['app_1']);
});

it('when a router that came back has the table, and its requests have ended', async () => {
  await leave();
  control.fakeHub.links.delete('r2');
  await stopped(1100);
  routers[0]!.acknowledge();
  control.fakeHub.links.add('r2');
  expect(await stopped(2200)).toEqual([]);
  routers[1]!.acknowledge({ i1: 1 });
  expect(await stopped(2300)).toEqual([]);
  routers[1]!.acknowledge();
  expect(await stopped(2400)).toEqual(['app_1']);
});

it('without waiting for a router whose host is gone for good', async () => {
  await leave();
  await stopped(1100);
  routers[0]!.acknowledge();
  await control.store.db.deleteFrom('hosts').where('id', '=', 'r2').execute();
  expect(await stopped(1200)).toEqual(['app_1']);
});

it('not by the table that was read just before it began to leave', async () => {
  // In the midst of a look: the table of this look may still have it, and every router has acknowledged that one.
  const pending = control.routing.reconcile(1100);
  await leave();
  await pending;
  const row = await control.store.db
    .selectFrom('instances')
    .select('desired')
    .where('id', '=', 'i1')
    .executeTakeFirstOrThrow();
  expect(row.desired).toBe('drain');
});
