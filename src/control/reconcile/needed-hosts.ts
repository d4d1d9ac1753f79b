/** How many hosts there shall be: a router, and room for what waits. */
import { hostsNeeded, withoutRoom } from '../../engines/agents/placement.ts';
import type { Control } from '../context.ts';
import { SqlInstances } from '../store/instances.ts';
import type { HostRow } from '../store/schema.ts';
import { wantHost } from './want-host.ts';

const has = (host: HostRow, role: string): boolean => (JSON.parse(host.roles) as string[]).includes(role);

/** Records hosts that are needed and neither there nor coming, up to the ceiling. */
export async function wantNeededHosts(control: Control): Promise<void> {
  const { store, settings } = control;
  const cluster = await store.db.selectFrom('clusters').selectAll().executeTakeFirst();
  if (!cluster) return;
  const hosts = await store.db.selectFrom('hosts').selectAll().execute();
  const alive = hosts.filter((host) => !['lost', 'deleting'].includes(host.state));
  if (!alive.some((host) => has(host, 'router'))) {
    await wantHost(control, { roles: ['router'], cpu: 1, memoryMb: 1024, actor: 'platform' });
  }
  const compute = alive.filter((host) => has(host, 'compute'));
  const coming = compute.filter((host) => host.state === 'creating').length;
  const { hosts: open, instances } = await new SqlInstances(store, { changed: () => undefined }).snapshot();
  const builds = await store.db.selectFrom('builds').select('id').where('state', '=', 'queued').execute();
  const { hostMemoryMb: memoryMb, hostCpu: cpu, maxHosts } = settings.cluster;
  let need = hostsNeeded(withoutRoom(open, instances), memoryMb);
  // The first host also decides what can be built (deploy/source.ts), so a push may wait for one.
  const pushes = await store.db.selectFrom('deployments').select('id').where('state', '=', 'building').execute();
  if (builds.length + pushes.length > 0 && !compute.some((host) => host.state === 'ready')) need = Math.max(need, 1);
  const missing = Math.min(need - coming, maxHosts - compute.length);
  if (missing > 0 && mayComeBack(control, compute)) return;
  for (let i = 0; i < missing; i++) {
    await wantHost(control, { roles: ['compute', 'build'], cpu, memoryMb, actor: 'platform' });
  }
}

/** Whether a host fell silent only just now: its room may be there again before a new host would be. */
function mayComeBack({ settings, startedAt }: Control, hosts: readonly HostRow[]): boolean {
  const patience = Date.now() - settings.timing.startGrace;
  return hosts.some((host) => host.state === 'unreachable' && Math.max(host.last_seen ?? 0, startedAt) > patience);
}
