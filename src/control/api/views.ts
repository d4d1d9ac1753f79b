/** Rows as scripts and people see them. */
import type { AppDetail, AppSummary, InstanceRow } from '../../shared/contracts/api.ts';
import type { Control } from '../context.ts';
import { formationOf, urlOf } from '../deploy/apps.ts';
import { maintenanceOf, routerSettingsOf } from '../deploy/router-settings.ts';
import { routesOf } from '../deploy/routes.ts';
import { wantedInstances } from '../deploy/wanted.ts';
import { formatRoute } from '../../shared/routes-text.ts';
import type { AppRow } from '../store/schema.ts';
import { appTraffic } from '../traffic/view.ts';

export async function appSummaries(control: Control, query: Record<string, string>): Promise<AppSummary[]> {
  let select = control.store.db.selectFrom('apps').selectAll();
  if (query['project'] !== undefined) select = select.where('project', '=', query['project']);
  if (query['environment'] !== undefined) select = select.where('environment', '=', query['environment']);
  const apps = await select.orderBy('project').orderBy('environment').orderBy('name').execute();
  return Promise.all(apps.map((app) => appSummary(control, app)));
}

export async function appSummary(control: Control, app: AppRow): Promise<AppSummary> {
  const instances = await control.store.db
    .selectFrom('instances')
    .select(['state', 'ready'])
    .where('app_id', '=', app.id)
    .where('ended_at', 'is', null)
    .where('desired', '=', 'run')
    .where('command', 'is', null)
    .execute();
  const desired = Object.values(await wantedInstances(control.store.db, app)).reduce((sum, count) => sum + count, 0);
  const healthy = instances.filter((row) => row.state === 'healthy' && row.ready === 1).length;
  const routes = await routesOf(control.store.db, app.id);
  const router = control.routing.summary();
  return {
    name: app.name,
    project: app.project,
    environment: app.environment,
    release: app.release,
    state: stateOf(app, desired, healthy),
    instances: { desired, healthy },
    urls: routes.map((route) => urlOf(route, router)),
    maintenance: app.maintenance !== null,
  };
}

function stateOf(app: AppRow, desired: number, healthy: number): string {
  if (app.state === 'destroying') return 'destroying';
  if (app.active_deployment !== null) return 'deploying';
  if (app.release === null) return 'empty';
  if (app.state === 'stopped') return 'stopped';
  if (healthy >= desired) return 'healthy';
  return healthy > 0 ? 'degraded' : 'down';
}

export async function appDetail(control: Control, app: AppRow): Promise<AppDetail> {
  const { db } = control.store;
  const image =
    app.release === null
      ? undefined
      : await db
          .selectFrom('releases')
          .innerJoin('images', 'images.id', 'releases.image_id')
          .select(['images.stack', 'images.base_name'])
          .where('releases.app_id', '=', app.id)
          .where('releases.version', '=', app.release)
          .executeTakeFirst();
  const maintenance = maintenanceOf(app);
  const ports = await db.selectFrom('tcp_ports').selectAll().where('app_id', '=', app.id).execute();
  return {
    ...(await appSummary(control, app)),
    id: app.id,
    createdAt: new Date(app.created_at).toISOString(),
    stack: image?.stack ?? null,
    base: image?.base_name ?? null,
    formation: formationOf(app),
    routes: (await routesOf(db, app.id)).map(formatRoute),
    ports: Object.fromEntries(ports.map((row) => [row.process_type, row.port])),
    deployment: app.active_deployment,
    traffic: appTraffic(control.traffic, app.id),
    router: routerSettingsOf(app),
    maintenanceBy: maintenance && {
      by: maintenance.by,
      since: new Date(maintenance.since).toISOString(),
      page: maintenance.page !== undefined,
    },
    nginx: app.nginx !== null,
  };
}

export async function instanceRows(control: Control, app: AppRow, all: boolean): Promise<InstanceRow[]> {
  let select = control.store.db
    .selectFrom('instances')
    .leftJoin('hosts', 'hosts.id', 'instances.host_id')
    .selectAll('instances')
    .select(['hosts.name as host_name', 'hosts.state as host_state'])
    .where('instances.app_id', '=', app.id);
  if (!all) select = select.where('instances.ended_at', 'is', null);
  const rows = await select.orderBy('process_type').orderBy('ordinal').orderBy('instances.created_at').execute();
  return rows.map((row) => {
    const leaving = row.ended_at === null && row.desired !== 'run';
    const usage = control.usage.get(row.id);
    const silent = row.host_state === 'unreachable' ? `its host ${row.host_name ?? ''} does not answer` : null;
    return {
      name: `${row.process_type}.${row.ordinal}`,
      id: row.id,
      type: row.process_type,
      release: row.release,
      state: (leaving ? 'draining' : row.state) as InstanceRow['state'],

      ready: row.ready === 1,
      host: row.host_name,
      address: row.address,
      port: row.port,
      startedAt: row.started_at,

      restarts: row.restarts,
      cpu: usage?.cpu ?? null,
      memory: usage?.memoryMb ?? null,
      memoryLimit: row.memory_mb,
      message: silent ?? row.message,
      exit: row.exit === null ? null : (JSON.parse(row.exit) as InstanceRow['exit']),
    };
  });
}
