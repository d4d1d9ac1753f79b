import { describe, expect, it } from 'vitest';
import { PaasError } from '../../../../src/shared/errors.ts';
import { beginBuild, builds } from '../../../support/builds.ts';
import { addHost } from '../../../support/control.ts';
import { removeWhenEmpty } from '../../../../src/control/reconcile/hosts.ts';
import {
  control,
  creates,
  hosts,
  later,
  look,
  ready,
  restarted,
  useHostWorld,
  waiting,
} from '../../../support/host-world.ts';
import { instanceRow } from '../../../support/rows.ts';

useHostWorld();

describe('hosts that are needed', () => {
  it('are a router, and compute hosts for what waits', async () => {
    await look();
    expect(await hosts()).toEqual(['router-1 creating -']);
    await waiting('i1');
    await look();
    await look();
    expect((await hosts()).sort()).toEqual(['host-1 creating vm-2', 'router-1 creating vm-1']);
    expect(JSON.parse(control.cloud.hosts.get('vm-2')!.request.userData)).toMatchObject({
      ...{ controlUrl: 'http://127.0.0.1:7070', roles: ['compute', 'build'] },
    });
    await look();
    expect(creates()).toBe(2);
  });

  it('are as many as the waiting memory asks for, up to the ceiling', async () => {
    for (let i = 0; i < 30; i++) await waiting(`i${i}`, 2048);
    await look();
    expect((await hosts()).filter((line) => line.startsWith('host-'))).toHaveLength(4);
  });

  it('come for the first push, too', async () => {
    const request = { kind: 'push', state: 'building', actor: 'a', request: '', changed: 1, created_at: 1 };
    const rest = { release: null, build_id: null, build: null, rollout_id: null, error: null, finished_at: null };
    await control.store.db
      .insertInto('deployments')
      .values({ id: 'dep_1', app_id: 'app_1', ...request, ...rest })
      .execute();
    await look();
    expect(await hosts()).toContain('host-1 creating -');
  });
});

describe('creating', () => {
  const prepare = async () => {
    await addHost(control, 'r', { roles: '["router"]', name: 'router-0' });
    await waiting('i1');
    await look();
  };
  const computeHosts = async () => (await hosts()).filter((line) => line.startsWith('host-'));

  it('is recorded before the cloud is asked', async () => {
    await prepare();
    let known: string[] = [];
    control.cloud.before = async () => void (known = await computeHosts());
    await look();
    expect(known).toEqual(['host-1 creating -']);
  });

  it('keeps a host ready whose agent said hello before the cloud answered', async () => {
    await prepare();
    control.cloud.afterCreate = async () => {
      await control.store.db.updateTable('hosts').set({ state: 'ready' }).where('name', '=', 'host-1').execute();
    };
    await look();
    expect(await computeHosts()).toEqual(['host-1 ready vm-1']);
  });

  it('does not leave a host behind whose agent is there', async () => {
    await prepare();
    await look();
    const { id } = await ready('host-1');
    for (const state of ['creating', 'unreachable']) {
      await control.store.db.updateTable('hosts').set({ state }).where('id', '=', id).execute();
      await look();
      expect(await computeHosts()).toEqual(['host-1 ready vm-1']);
    }
    const change = { state: 'creating', draining: removeWhenEmpty };
    await control.store.db.updateTable('hosts').set(change).where('id', '=', id).execute();
    await control.store.db.deleteFrom('instances').execute();
    for (let i = 0; i < 3; i++) await look();
    expect(await computeHosts()).toEqual([]);
  });

  it('that was interrupted before the answer is looked up, not repeated', async () => {
    await prepare();
    control.cloud.afterCreate = () => {
      control.cloud.afterCreate = () => undefined;
      throw new PaasError('cloud_ambiguous', 'the connection broke');
    };
    await look();
    expect(await computeHosts()).toEqual(['host-1 creating -']);
    await restarted().reconcile();
    expect(await computeHosts()).toEqual(['host-1 creating vm-1']);
    expect(creates()).toBe(1);
    expect(control.cloud.hosts.size).toBe(1);
  });

  it('that was killed between intent and call is made up for once', async () => {
    await prepare();
    control.cloud.before = (call) => {
      if (call === 'create') throw new Error('killed');
    };
    await look();
    control.cloud.before = () => undefined;
    await restarted().reconcile();
    await restarted().reconcile();
    expect(await computeHosts()).toEqual(['host-1 creating vm-1']);
    expect(control.cloud.hosts.size).toBe(1);
  });

  it('that was carried out twice leaves one', async () => {
    await prepare();
    control.cloud.afterCreate = () => {
      throw new PaasError('cloud_ambiguous', 'the connection broke');
    };
    await look();
    // The cloud shows it late: a second one is made.
    const first = control.cloud.hosts.get('vm-1')!;
    control.cloud.hosts.delete('vm-1');
    await restarted().reconcile();
    control.cloud.hosts.set('vm-1', first);
    control.cloud.afterCreate = () => undefined;
    await restarted().reconcile();
    expect(control.cloud.hosts.size).toBe(1);
    expect(await computeHosts()).toEqual([`host-1 creating ${[...control.cloud.hosts.keys()][0]!}`]);
  });

  it('that fails is tried again later, with the reason for people', async () => {
    await prepare();
    control.cloud.before = (call) => {
      if (call === 'create') throw new PaasError('cloud_capacity', 'no room in zone A');
    };
    await look();
    await look();
    expect(creates()).toBe(1);
    const [row] = await control.store.db.selectFrom('hosts').selectAll().where('name', '=', 'host-1').execute();
    expect(row?.message).toBe('no room in zone A');
    const events = await control.events.list({});
    expect(events.filter(({ kind }) => kind === 'host.error')).toHaveLength(1);
    control.cloud.before = () => undefined;
    later(120_000);
    await look();
    expect(await computeHosts()).toEqual(['host-1 creating vm-1']);
  });

  it('is begun anew when the cloud loses the host or its agent never comes', async () => {
    await prepare();
    await look();
    control.cloud.hosts.delete('vm-1');
    later(1000);
    await look();
    expect(await computeHosts()).toEqual(['host-1 deleting vm-1', 'host-2 creating -']);
    later(2000);
    await look();
    expect(await computeHosts()).toEqual(['host-2 creating vm-2']);
    later(control.settings.timing.bootTimeout + 1000);
    await look();
    expect(await computeHosts()).toContain('host-2 deleting vm-2');
  });

  it('gives a host its whole time to boot, however long the cloud had refused it or the server was away', async () => {
    const { bootTimeout } = control.settings.timing;
    await prepare();
    control.cloud.before = (call) => {
      if (call === 'create') throw new PaasError('cloud_capacity', 'no room in zone A');
    };
    await look();
    control.cloud.before = () => undefined;
    later(bootTimeout + 10_000);
    await look();
    later(bootTimeout / 2);
    await look();
    expect(await computeHosts()).toEqual(['host-1 creating vm-1']);
    later(bootTimeout);
    const server = restarted();
    await server.reconcile();
    expect(await computeHosts()).toEqual(['host-1 creating vm-1']);
    later(bootTimeout + 1000);
    await server.reconcile();
    expect(await computeHosts()).toContain('host-1 deleting vm-1');
  });

  it('whose answer was lost finds its host although the agent says hello first', async () => {
    await prepare();
    control.cloud.afterCreate = () => {
      throw new PaasError('cloud_ambiguous', 'the connection broke');
    };
    await look();
    const { id } = await ready('host-1');
    later(5000);
    await look();
    expect(await computeHosts()).toEqual(['host-1 ready vm-1']);
    control.fakeHub.links.delete(id);
    later(2000);
    await look();
    expect(await computeHosts()).toContain('host-1 unreachable vm-1');
  });

  it('whose host the cloud does not show yet is not given up at a short silence', async () => {
    await prepare();
    control.cloud.afterCreate = () => {
      throw new PaasError('cloud_ambiguous', 'the connection broke');
    };
    await look();
    const { id } = await ready('host-1');
    control.cloud.hosts.clear();
    control.fakeHub.links.delete(id);
    later(5000);
    for (let i = 0; i < 2; i++) await look();
    expect(await computeHosts()).toContain('host-1 unreachable -');
  });

  it('starts a host that is there but off', async () => {
    await prepare();
    await look();
    control.cloud.set('vm-1', 'stopped');
    later(1000);
    await look();
    expect(control.cloud.calls).toContain('start');
  });
});

describe('removing', () => {
  it('waits until the host is empty, then destroys it, and all that was made for its intent', async () => {
    await addHost(control, 'r', { roles: '["router"]' });
    await addHost(control, 'h', { name: 'host-1', draining: 2, attempts: 2, token: 'tok', cloud_id: 'vm-9' });
    await control.store.db
      .insertInto('instances')
      .values(instanceRow('i1', { host_id: 'h' }))
      .execute();
    const made = { token: 'tok', name: 'host-1', cpu: 1, memoryMb: 1, userData: '' };
    const double = await control.cloud.create(made);
    await look();
    expect(await hosts()).toContain('host-1 ready vm-9');
    await control.store.db.updateTable('instances').set({ ended_at: 1 }).execute();
    await look();
    await look();
    expect((await hosts()).filter((line) => line.startsWith('host-1'))).toEqual([]);
    expect(control.cloud.calls).toEqual(expect.arrayContaining(['destroy vm-9', `destroy ${double.id}`]));
  });

  const hostThatBuilds = async () => {
    await addHost(control, 'r', { roles: '["router"]' });
    await addHost(control, 'h', { name: 'host-1', cloud_id: 'vm-9' });
    await beginBuild(control);
    expect(await builds(control)).toMatchObject([{ id: 'bld_1', state: 'running', host_id: 'h' }]);
  };
  const change = (values: { draining?: number; state?: string }) =>
    control.store.db.updateTable('hosts').set(values).where('id', '=', 'h').execute();

  it('waits for a build, too', async () => {
    await hostThatBuilds();
    await change({ draining: removeWhenEmpty });
    for (let i = 0; i < 3; i++) await look();
    expect(await hosts()).toContain('host-1 ready vm-9');
    await control.builds.finished('h', { id: 'bld_1', ok: false, durationMs: 1 });
    for (let i = 0; i < 2; i++) await look();
    expect((await hosts()).filter((line) => line.startsWith('host-1'))).toEqual([]);
  });

  it('has a build that is left begin again elsewhere', async () => {
    await hostThatBuilds();
    await change({ state: 'deleting' });
    await look();
    expect(await builds(control)).toMatchObject([
      { id: 'bld_1', state: 'failed' },
      { app_id: 'app_1', state: 'queued', host_id: null },
    ]);
    expect(control.woken).toContain('app:app_1');
  });
});
