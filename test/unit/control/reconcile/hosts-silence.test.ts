import { describe, expect, it, vi } from 'vitest';
import { PaasError } from '../../../../src/shared/errors.ts';
import { addHost } from '../../../support/control.ts';
import { control, hosts, later, look, ready, waiting, useHostWorld } from '../../../support/host-world.ts';
import { instanceRow } from '../../../support/rows.ts';

useHostWorld();

describe('silence', () => {
  const three = async () => {
    await addHost(control, 'r', { roles: '["router"]', name: 'router-0' });
    for (const n of [1, 2, 3]) {
      await waiting(`w${n}`, 4096);
    }
    await look();
    await look();
    await control.store.db.deleteFrom('instances').execute();
    for (const n of [1, 2, 3]) await ready(`host-${n}`);
  };
  const idOf = async (name: string) =>
    (await control.store.db.selectFrom('hosts').select('id').where('name', '=', name).executeTakeFirstOrThrow()).id;
  const silence = async (...names: string[]) => {
    for (const name of names) control.fakeHub.links.delete(await idOf(name));
    later(5000);
    await look();
  };
  const states = async () =>
    Object.fromEntries((await hosts()).map((line) => line.split(' ').slice(0, 2) as [string, string]));

  it('makes a host unreachable; its instances stay', async () => {
    await three();
    await control.store.db
      .insertInto('instances')
      .values(instanceRow('i1', { host_id: await idOf('host-1') }))
      .execute();
    await silence('host-1');
    expect(await states()).toMatchObject({ 'host-1': 'unreachable', 'host-2': 'ready' });
    later(60_000);
    await look();
    expect((await states())['host-1']).toBe('unreachable');
    const [row] = await control.store.db.selectFrom('instances').selectAll().execute();
    expect(row).toMatchObject({ state: 'healthy', ended_at: null });
  });

  it('means lost by the cloud’s word: instances end as lost, the host is replaced and removed', async () => {
    await three();
    await control.store.db
      .insertInto('instances')
      .values(instanceRow('i1', { host_id: await idOf('host-1') }))
      .execute();
    const cloudId = (await control.store.db
      .selectFrom('hosts')
      .selectAll()
      .where('name', '=', 'host-1')
      .executeTakeFirst())!.cloud_id!;
    control.cloud.hosts.delete(cloudId);
    await silence('host-1');
    await look();
    later(2000);
    await look();
    expect(await states()).not.toHaveProperty('host-1');
    expect(await states()).toMatchObject({ 'host-4': 'creating' });
    const [row] = await control.store.db.selectFrom('instances').selectAll().execute();
    expect(row).toMatchObject({ state: 'lost', desired: 'stop', ready: 0 });
    expect(control.woken).toContain('app:app_1');
    const kinds = (await control.events.list({})).map(({ kind }) => kind);
    expect(kinds).toEqual(expect.arrayContaining(['host.unreachable', 'host.lost', 'host.removed']));
    expect(control.cloud.hosts.size).toBe(3);
  });

  it('means lost after the grace where the cloud calls the host running', async () => {
    await three();
    await silence('host-2');
    later(control.settings.timing.lostGrace - 6000);
    await look();
    expect((await states())['host-2']).toBe('unreachable');
    later(20_000);
    await look();
    expect((await states())['host-2'] ?? 'gone').not.toBe('unreachable');
  });

  it('counts the same when the cloud does not answer either', async () => {
    await three();
    control.cloud.before = (call) => {
      if (call === 'get') throw new PaasError('cloud_failed', 'bad gateway');
    };
    await silence('host-2');
    later(60_000);
    await look();
    expect((await states())['host-2']).toBe('unreachable');
    later(control.settings.timing.lostGrace + 60_000);
    await look();
    expect((await states())['host-2'] ?? 'gone').not.toBe('unreachable');
  });

  it('of many at once loses only some at a time', async () => {
    await three();
    for (const id of [...control.cloud.hosts.keys()]) control.cloud.set(id, 'stopped');
    await silence('host-1', 'host-2', 'host-3');
    later(2000);
    await look();
    const lost = Object.values(await states()).filter((state) => state === 'lost' || state === 'deleting').length;
    expect(lost).toBeGreaterThan(0);
    expect(lost).toBeLessThan(3);
  });

  it('is not judged just after the start of the server', async () => {
    await three();
    control.startedAt = Date.now();
    for (const id of [...control.cloud.hosts.keys()]) control.cloud.set(id, 'stopped');
    await silence('host-1');
    expect((await states())['host-1']).toBe('unreachable');
    later(control.settings.timing.startGrace);
    await look();
    expect((await states())['host-1']).toBe('lost');
  });

  it('is noticed and made up for while the cloud takes for ever over another host', async () => {
    await three();
    control.cloud.before = (call) => (call.startsWith('destroy') ? new Promise(() => undefined) : undefined);
    await control.store.db.updateTable('hosts').set({ state: 'deleting' }).where('name', '=', 'host-1').execute();
    await look();
    control.cloud.hosts.delete('vm-2');
    await silence('host-2');
    await look();
    expect(await hosts()).toEqual(
      expect.arrayContaining(['host-1 deleting vm-1', 'host-2 lost vm-2', 'host-4 creating vm-4']),
    );
    expect(control.cloud.calls.filter((call) => call === 'destroy vm-1')).toHaveLength(1);
  });

  it('of one is judged while the cloud says nothing of another', async () => {
    await three();
    control.cloud.before = (call) => {
      control.cloud.before = () => undefined;
      return call === 'get' ? new Promise(() => undefined) : undefined;
    };
    control.cloud.hosts.delete('vm-2');
    await silence('host-1', 'host-2');
    expect(await states()).toMatchObject({ 'host-1': 'unreachable', 'host-2': 'lost' });
  });

  it('of a cloud is waited for when the server stops', async () => {
    await three();
    let answer = (): void => undefined;
    control.cloud.before = () => new Promise((resolve) => (answer = resolve));
    await control.store.db.updateTable('hosts').set({ state: 'deleting' }).where('name', '=', 'host-1').execute();
    await look();
    expect(await states()).toHaveProperty('host-1');
    const closed = control.hosts.close();
    answer();
    await closed;
    expect(await states()).not.toHaveProperty('host-1');
  });

  it('breaks a link off, but for a time in which this server itself stood still and heard nobody', async () => {
    await three();
    const dropped = vi.spyOn(control.fakeHub, 'drop');
    await look();
    const seen = Date.now();
    control.fakeHub.lastSeen = () => seen;
    later(control.settings.timing.silence + 3000);
    await look();
    expect(dropped).not.toHaveBeenCalled();
    expect(await states()).toMatchObject({ 'host-1': 'ready' });
    for (let ms = 0; ms <= control.settings.timing.silence; ms += 1000) {
      later(1000);
      await look();
    }
    expect(dropped).toHaveBeenCalledWith(await idOf('host-1'));
  });

  it('of a few seconds brings no other host for what waits', async () => {
    await three();
    await silence('host-1');
    await waiting('w9', 4096);
    for (const n of [2, 3]) {
      const host = await idOf(`host-${n}`);
      await control.store.db
        .insertInto('instances')
        .values(instanceRow(`full${n}`, { host_id: host, memory_mb: 4096 }))
        .execute();
    }
    await control.store.db.updateTable('hosts').set({ last_seen: Date.now() }).where('name', '=', 'host-1').execute();
    await look();
    expect(await states()).not.toHaveProperty('host-4');
    later(control.settings.timing.startGrace + 1000);
    await look();
    expect(await states()).toHaveProperty('host-4');
  });
});
