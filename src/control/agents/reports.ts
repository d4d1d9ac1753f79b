/** What agents report about instances goes into the store here, and becomes events. */
import type { InstanceStatus } from '../../shared/contracts/instances.ts';
import type { Control } from '../context.ts';
import type { NewEvent } from '../events/events.ts';
import { raiseGenerations, reportChanges, runsOnce } from '../store/instances.ts';
import type { Trx } from '../store/open.ts';
import type { InstanceRow } from '../store/schema.ts';

export interface Report {
  hostId: string;
  generation: number;
  instances: readonly InstanceStatus[];
  full: boolean;
}

/** Usage figures live in memory only: they are measurements, not state. */
export type Usage = Map<string, { cpu: number; memoryMb: number }>;

/** Space on the disks of hosts, by host id, as last heard. */
export type Disks = Map<string, { totalMb: number; freeMb: number }>;

/** Takes a report up in one transaction and wakes what may act on it. */
export async function applyReport(control: Control, report: Report): Promise<void> {
  const apps = new Set<string>();
  const events: NewEvent[] = [];
  await control.store.transaction(async (trx) => {
    apps.clear();
    events.length = 0;
    const rows = await trx
      .selectFrom('instances')
      .selectAll()
      .where('host_id', '=', report.hostId)
      .where('ended_at', 'is', null)
      .execute();
    const host = await trx
      .selectFrom('hosts')
      .select(['generation'])
      .where('id', '=', report.hostId)
      .executeTakeFirst();
    const statuses = new Map(report.instances.map((status) => [status.id, status]));
    const ended: InstanceRow[] = [];
    for (const row of rows) {
      const status = statuses.get(row.id);
      if (!status) {
        // Absent from a whole report of the present generation: the agent has removed it, as asked.
        const current = host !== undefined && report.generation >= host.generation;
        if (report.full && current && row.desired === 'stop') ended.push(row);
        continue;
      }
      if (reportChanges(row, status)) {
        await store(trx, row, status);
        events.push(...describe(row, status));
        apps.add(row.app_id);
      }
      const over =
        status.state === 'stopped' || (status.state === 'crashed' && (row.desired === 'stop' || runsOnce(row)));
      if (over && (row.desired !== 'run' || runsOnce(row))) ended.push({ ...row, state: status.state });
    }
    for (const row of ended) {
      apps.add(row.app_id);
      const state = row.state === 'crashed' ? 'crashed' : 'stopped';
      await trx
        .updateTable('instances')
        .set({ ended_at: Date.now(), desired: 'stop', state, ready: 0 })
        .where('id', '=', row.id)
        .execute();
    }
    if (ended.some(runsOnce)) await raiseGenerations(trx, [report.hostId]);
  });
  if (apps.size === 0) return;
  await recordAll(control, events);
  control.wake.routes();
  control.wake.hosts();
  for (const app of apps) control.wake.app(app);
}

async function store(trx: Trx, row: InstanceRow, status: InstanceStatus): Promise<void> {
  await trx
    .updateTable('instances')
    .set({
      state: status.state,
      ready: status.ready ? 1 : 0,
      was_healthy: row.was_healthy === 1 || status.state === 'healthy' ? 1 : 0,
      address: status.address,
      port: status.port,
      started_at: status.startedAt,
      restarts: status.restarts,
      message: status.message,
      exit: status.exit === null ? null : JSON.stringify(status.exit),
    })
    .where('id', '=', row.id)
    .execute();
}

/** A change of state as an event, if it is one that people want to know of. */
function describe(row: InstanceRow, status: InstanceStatus): NewEvent[] {
  const name = `${row.process_type}.${row.ordinal}`;
  const base = { actor: 'platform', app: { id: row.app_id, name: '' }, target: name };
  const details = { instance: row.id, release: row.release };
  if (row.state !== 'healthy' && status.state === 'healthy') {
    const where = status.port === null ? '' : ` on ${status.address ?? ''}:${status.port}`;
    return [{ ...base, kind: 'instance.healthy', message: `${name} of v${row.release} is healthy${where}`, details }];
  }
  if (row.state !== 'starting' && status.state === 'starting') {
    return [{ ...base, kind: 'instance.starting', message: `${name} of v${row.release} is starting`, details }];
  }
  if (status.state === 'unhealthy' && row.state !== 'unhealthy') {
    const why = status.message ?? 'its health check fails';
    return [
      { ...base, kind: 'instance.unhealthy', message: `${name} of v${row.release} is unhealthy: ${why}`, details },
    ];
  }
  const exitChanged = status.exit !== null && row.exit !== JSON.stringify(status.exit);
  if (exitChanged && status.exit && status.exit.reason !== 'stopped') {
    const { exit } = status;
    const how =
      exit.message ??
      (exit.signal === null ? `exited with status ${exit.code ?? 'unknown'}` : `ended by ${exit.signal}`);
    const kind =
      exit.reason === 'killed'
        ? 'instance.killed'
        : exit.code === 0 && runsOnce(row)
          ? 'instance.finished'
          : 'instance.crashed';
    return [{ ...base, kind, message: `${name} of v${row.release} ${how}`, details: { ...details, exit } }];
  }
  return [];
}

async function recordAll(control: Control, events: readonly NewEvent[]): Promise<void> {
  for (const event of events) {
    const { app } = event;
    if (!app) continue;
    const row = await control.store.db
      .selectFrom('apps')
      .select(['name', 'active_deployment'])
      .where('id', '=', app.id)
      .executeTakeFirst();
    const named = {
      ...event,
      app: { id: app.id, name: row?.name ?? '' },
      deployment: row?.active_deployment ?? undefined,
    };
    await control.events.record(named);
    control.say(app.id, event.target ?? 'platform', event.message);
  }
}
