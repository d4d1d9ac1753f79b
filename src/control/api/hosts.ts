/** Endpoints of hosts. */
import type * as z from 'zod/mini';
import * as api from '../../shared/contracts/api.ts';
import { PaasError } from '../../shared/errors.ts';
import type { HostFacts } from '../../shared/contracts/agent.ts';
import type { Control } from '../context.ts';
import { loseHosts } from '../reconcile/lost.ts';
import { removeWhenEmpty } from '../reconcile/hosts.ts';
import { hostWanted, insertHost } from '../reconcile/want-host.ts';
import type { Db, Trx } from '../store/open.ts';
import type { HostRow } from '../store/schema.ts';
import { endpoint, type Call, type Endpoint } from './define.ts';

export const hostEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v1/hosts',
    summary: 'All hosts',
    role: 'viewer',
    response: api.hostsResponse,
    handle: async ({ control }) => ({ hosts: await hostRows(control) }),
  }),
  endpoint({
    method: 'POST',
    path: '/v1/hosts',
    summary: 'Create hosts',
    role: 'owner',
    status: 202,
    body: api.hostsCreate,
    response: api.hostsResponse,
    handle: createHosts,
  }),
  endpoint({
    method: 'POST',
    path: '/v1/hosts/:host/drain',
    summary: 'Move its instances elsewhere and give it no new ones',
    role: 'owner',
    handle: async (call) => {
      const host = await hostOf(call);
      await drain(call, host);
      return { host: host.name, state: 'draining' };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: '/v1/hosts/:host',
    summary: 'Drain it, then destroy it',
    role: 'owner',
    status: 202,
    handle: async (call) => {
      const host = await hostOf(call);
      await drain(call, host);
      // Nothing can be waited for on a host that does not answer.
      if (!call.control.hub.connected(host.id)) await loseHosts(call.control, [{ host, why: 'it is removed' }]);
      await call.control.store.db
        .updateTable('hosts')
        .set({ draining: removeWhenEmpty })
        .where('id', '=', host.id)
        .execute();
      call.control.wake.hosts();
      return { host: host.name, state: 'deleting' };
    },
  }),
];

async function hostOf(call: Call<unknown>): Promise<HostRow> {
  const name = call.params['host'] ?? '';
  const row = await call.control.store.db.selectFrom('hosts').selectAll().where('name', '=', name).executeTakeFirst();
  if (row) return row;
  throw new PaasError('not_found', `There is no host ${name}.`, { hint: 'See `paas hosts`.' });
}

async function createHosts(call: Call<z.infer<typeof api.hostsCreate>>): Promise<unknown> {
  const { control, body } = call;
  const { hostCpu: cpu, hostMemoryMb: memoryMb, maxHosts } = control.settings.cluster;
  const wish = { roles: ['compute', 'build'], cpu, memoryMb, actor: call.principal.name };
  const answer = await call.commit(async (trx) => {
    const present = (await hostRows(control, trx)).filter((host) => host.roles.includes('compute'));
    if (present.length + body.count > maxHosts) {
      throw new PaasError('no_capacity', `The cluster has ${present.length} hosts and may have ${maxHosts}.`, {
        hint: 'Raise the ceiling of hosts: `paas up --max-hosts N`.',
      });
    }
    const names: string[] = [];
    for (let i = 0; i < body.count; i++) names.push(await insertHost(trx, wish));
    return { hosts: (await hostRows(control, trx)).filter((host) => names.includes(host.name)) };
  });
  for (const { name } of answer.hosts) await hostWanted(control, name, wish);
  return answer;
}

/** No new instances, and the present ones are replaced: each leaves when another one stands in for it elsewhere. */
async function drain(call: Call<unknown>, host: HostRow): Promise<void> {
  const { control } = call;
  const apps = await control.store.transaction(async (trx) => {
    await trx
      .updateTable('hosts')
      .set({ draining: Math.max(1, host.draining) })
      .where('id', '=', host.id)
      .execute();
    return trx
      .updateTable('instances')
      .set({ replacing: 1 })
      .where('host_id', '=', host.id)
      .where('ended_at', 'is', null)
      .where('desired', '=', 'run')
      .where('command', 'is', null)
      .returning('app_id')
      .execute();
  });
  await control.events.record({
    kind: 'host.drain',
    actor: call.principal.name,
    target: host.name,
    message: `${host.name} is drained`,
  });
  for (const app of new Set(apps.map(({ app_id }) => app_id))) control.wake.app(app);
}

async function hostRows(control: Control, db: Db | Trx = control.store.db): Promise<api.HostRow[]> {
  const hosts = await db.selectFrom('hosts').selectAll().orderBy('created_at').execute();
  const instances = await db
    .selectFrom('instances')
    .select(['id', 'host_id', 'memory_mb'])
    .where('ended_at', 'is', null)
    .execute();
  return hosts.map((host) => {
    const own = instances.filter((instance) => instance.host_id === host.id);
    const facts = host.facts === null ? null : (JSON.parse(host.facts) as HostFacts);
    const cpu = own.reduce((sum, { id }) => sum + (control.usage.get(id)?.cpu ?? 0), 0);
    const seen = control.hub.lastSeen(host.id) ?? host.last_seen;
    const draining = host.draining > 0 && host.state === 'ready';
    return {
      name: host.name,
      cluster: host.cluster,
      cloud: host.cloud,
      cloudId: host.cloud_id,
      address: host.address,
      roles: JSON.parse(host.roles) as string[],
      state: draining ? (own.length === 0 ? 'drained' : 'draining') : host.state,
      agentVersion: facts?.agentVersion ?? null,
      capacity: { cpu: host.cpu, memory: host.memory_mb },
      used: { cpu: Math.round(cpu * 100) / 100, memory: own.reduce((sum, { memory_mb }) => sum + memory_mb, 0) },
      lastSeen: seen === null ? null : new Date(seen).toISOString(),
      instances: own.length,
      notices: facts?.notices ?? [],
    };
  });
}
