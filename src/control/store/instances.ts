/** Instances in the store: the engine's memory, and what agents report. */
import type { InstanceStatus } from '../../shared/contracts/instances.ts';
import type { Observation, ObservedInstance } from '../../engines/port.ts';
import type { Change, InstanceStore, NewInstance, Snapshot } from '../../engines/agents/engine.ts';
import { newId } from '../../shared/ids.ts';
import type { Db, Store, Trx } from './open.ts';
import type { HostRow, InstanceRow } from './schema.ts';

export interface InstanceStoreHooks {
  /** Called after a change, with the hosts whose assignment is another now. */
  changed: (hostIds: string[], waiting: boolean) => void;
}

export class SqlInstances implements InstanceStore {
  readonly #store: Store;
  readonly #hooks: InstanceStoreHooks;

  constructor(store: Store, hooks: InstanceStoreHooks) {
    this.#store = store;
    this.#hooks = hooks;
  }

  snapshot(): Promise<Snapshot> {
    return snapshotOf(this.#store.db);
  }

  async change(appId: string, decide: (now: Snapshot) => Change): Promise<void> {
    const { touched, waiting } = await this.#store.transaction(async (trx) => {
      const change = decide(await snapshotOf(trx));
      const hosts = new Set<string>();
      for (const instance of change.create) {
        await insertInstance(trx, appId, instance);
        if (instance.hostId !== null) hosts.add(instance.hostId);
      }
      for (const { id, hostId } of change.assign) {
        await assignInstance(trx, id, hostId);
        hosts.add(hostId);
      }
      for (const host of await leave(trx, change.leave)) hosts.add(host);
      await raiseGenerations(trx, [...hosts]);
      return { touched: [...hosts], waiting: change.create.some((instance) => instance.hostId === null) };
    });
    this.#hooks.changed(touched, waiting);
  }

  async observe(appId: string): Promise<Observation> {
    const rows = await this.#store.db
      .selectFrom('instances')
      .leftJoin('hosts', 'hosts.id', 'instances.host_id')
      .selectAll('instances')
      .select('hosts.name as host_name')
      .where('instances.app_id', '=', appId)
      .where('instances.ended_at', 'is', null)
      .orderBy('instances.created_at')
      .execute();
    return { instances: rows.filter((row) => !runsOnce(row)).map((row) => observed(row, row.host_name)) };
  }
}

/** Hosts, and all instances that have not ended, as placement sees them. */
export async function snapshotOf(db: Db | Trx): Promise<Snapshot> {
  const hosts = await db.selectFrom('hosts').select(['id', 'state', 'roles', 'draining', 'memory_mb']).execute();
  const instances = await db
    .selectFrom('instances')
    .select(['id', 'app_id', 'release', 'epoch', 'process_type', 'ordinal', 'host_id', 'memory_mb'])
    .select(['desired', 'state', 'ready', 'kind', 'command', 'replacing'])
    .where('ended_at', 'is', null)
    .execute();
  return {
    hosts: hosts.map((h) => ({ id: h.id, memoryMb: h.memory_mb, open: acceptsInstances(h) })),
    instances: instances.map((i) => ({
      id: i.id,
      appId: i.app_id,
      release: i.release,
      epoch: i.epoch,
      processType: i.process_type,
      ordinal: i.ordinal,
      hostId: i.host_id,
      memoryMb: i.memory_mb,
      // One-offs and cron runs take room but belong to no workload: they end by themselves.
      staying: i.desired === 'run' && !runsOnce(i),
      healthy: i.state === 'healthy' && i.ready === 1,
      replacing: i.replacing === 1,
    })),
  };
}

/** Gives a waiting instance its host. */
export async function assignInstance(trx: Trx, id: string, hostId: string): Promise<void> {
  await trx
    .updateTable('instances')
    .set({ host_id: hostId, message: null })
    .where('id', '=', id)
    .where('host_id', 'is', null)
    .execute();
}

/** One-offs, tasks and cron runs are placed once and never replaced. */
export const runsOnce = (row: Pick<InstanceRow, 'kind' | 'command'>): boolean =>
  row.kind === 'task' || row.kind === 'cron' || row.command !== null;

export function acceptsInstances(host: Pick<HostRow, 'state' | 'roles' | 'draining'>): boolean {
  return host.state === 'ready' && host.draining === 0 && (JSON.parse(host.roles) as string[]).includes('compute');
}

export async function insertInstance(
  trx: Trx,
  appId: string,
  { workload, ordinal, hostId }: NewInstance,
  once: { command: string | null; name?: string } = { command: null },
): Promise<string> {
  const id = newId('ins');
  await trx
    .insertInto('instances')
    .values({
      id,
      app_id: appId,
      release: workload.release,
      epoch: workload.epoch,
      process_type: workload.processType,
      kind: workload.kind,
      ordinal,
      host_id: hostId,
      desired: 'run',
      drain_version: null,
      drain_at: null,
      memory_mb: workload.memoryMb,
      cpu: workload.cpu,
      command: once.command,
      restart_token: '',
      replacing: 0,
      state: 'pending',
      ready: 0,
      was_healthy: 0,
      address: null,
      port: null,
      started_at: null,
      restarts: 0,
      message: hostId === null ? 'waits for a host with room' : null,
      exit: null,
      created_at: Date.now(),
      ended_at: null,
    })
    .execute();
  return id;
}

/**
 * Begins the end of instances: those that were placed drain first (out of the route table, open requests finish); those
 * still waiting for a host just end. Returns the hosts concerned.
 */
export async function leave(trx: Trx, ids: readonly string[], now = Date.now()): Promise<string[]> {
  if (ids.length === 0) return [];
  const rows = await trx
    .selectFrom('instances')
    .select(['id', 'host_id', 'port', 'ready'])
    .where('id', 'in', ids)
    .execute();
  const hosts = new Set<string>();
  for (const row of rows) {
    if (row.host_id === null) {
      await trx
        .updateTable('instances')
        .set({ desired: 'stop', state: 'stopped', ended_at: now })
        .where('id', '=', row.id)
        .execute();
      continue;
    }
    hosts.add(row.host_id);
    await trx
      .updateTable('instances')
      .set({ desired: 'drain', drain_at: now, drain_version: null })
      .where('id', '=', row.id)
      .where('desired', '=', 'run')
      .execute();
  }
  return [...hosts];
}

/** Each host's assignment has a new content: agents are told by the next generation. */
export async function raiseGenerations(trx: Trx, hostIds: readonly string[]): Promise<void> {
  if (hostIds.length === 0) return;
  await trx
    .updateTable('hosts')
    .set((eb) => ({ generation: eb('generation', '+', 1) }))
    .where('id', 'in', hostIds)
    .execute();
}

export function observed(row: InstanceRow, hostName: string | null): ObservedInstance {
  return {
    id: row.id,
    release: row.release,
    epoch: row.epoch,
    processType: row.process_type,
    ordinal: row.ordinal,
    leaving: row.desired !== 'run',
    replacing: row.replacing === 1,
    state: row.state as ObservedInstance['state'],
    ready: row.ready === 1,
    wasHealthy: row.was_healthy === 1,
    restarts: row.restarts,
    exit: row.exit === null ? null : (JSON.parse(row.exit) as ObservedInstance['exit']),
    message: row.message,
    address: row.address,
    port: row.port,
    host: hostName,
  };
}

/** Whether a report changes what is stored (usage figures are not stored). */
export function reportChanges(row: InstanceRow, status: InstanceStatus): boolean {
  return (
    row.state !== status.state ||
    (row.ready === 1) !== status.ready ||
    row.address !== status.address ||
    row.port !== status.port ||
    row.started_at !== status.startedAt ||
    row.restarts !== status.restarts ||
    row.message !== status.message ||
    row.exit !== (status.exit === null ? null : JSON.stringify(status.exit))
  );
}
