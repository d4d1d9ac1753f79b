/** Hosts as the reconciler sees them: what tests of it arrange and look at. */
import { afterEach, beforeEach, vi } from 'vitest';
import { HostReconciler } from '../../src/control/reconcile/hosts.ts';
import { makeControl, type TestControl } from './control.ts';
import { instanceRow } from './rows.ts';

/** The control plane of the running test. */
export let control: TestControl;

/** A control plane with a fake cloud and time, new for each test of the file that calls this. */
export function useHostWorld(): void {
  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    control = await makeControl();
  });
  afterEach(async () => {
    await control.close();
    vi.useRealTimers();
  });
}

export const later = (ms: number) => vi.setSystemTime(Date.now() + ms);
export const look = () => control.hosts.reconcile();
export const hosts = async () =>
  (await control.store.db.selectFrom('hosts').selectAll().orderBy('created_at').orderBy('name').execute()).map(
    ({ name, state, cloud_id: cloudId }) => `${name} ${state} ${cloudId ?? '-'}`,
  );
export const waiting = (id: string, memory = 512) =>
  control.store.db
    .insertInto('instances')
    .values(instanceRow(id, { host_id: null, memory_mb: memory }))
    .execute();
export const creates = () => control.cloud.calls.filter((call) => call === 'create').length;
export const ready = async (name: string) => {
  const row = await control.store.db.selectFrom('hosts').selectAll().where('name', '=', name).executeTakeFirstOrThrow();
  if (row.cloud_id !== null) control.cloud.set(row.cloud_id, 'running');
  control.fakeHub.links.add(row.id);
  await control.store.db.updateTable('hosts').set({ state: 'ready' }).where('id', '=', row.id).execute();
  return row;
};
/** A server that was killed and started again: nothing in memory. */
export const restarted = () => new HostReconciler(control);
