/** Routes and TCP ports of apps in the store. */
import { formatRoute, parseRoute, type RouteParts } from '../../shared/routes-text.ts';
import { PaasError } from '../../shared/errors.ts';
import type { Db, Trx } from '../store/open.ts';
import { appFlags } from './apps.ts';
import type { ReleaseProcesses } from './types.ts';

export type Route = RouteParts & { process: string; https: boolean };

export async function routesOf(db: Db | Trx, appId: string): Promise<Route[]> {
  const rows = await db
    .selectFrom('routes')
    .selectAll()
    .where('app_id', '=', appId)
    .orderBy('created_at')
    .orderBy('host')
    .execute();
  return rows.map(({ host, path, process_type, https }) => ({ host, path, process: process_type, https: https === 1 }));
}

/**
 * Gives an app a route.
 * @param https whether plain requests are sent on to https://; absent leaves a route of the app's as it is
 * @returns whether something changed
 * @throws PaasError conflict when another app has it
 */
export async function addRoute(trx: Trx, appId: string, text: string, https?: boolean): Promise<boolean> {
  const route = parseRoute(text);
  const present = await trx
    .selectFrom('routes')
    .innerJoin('apps', 'apps.id', 'routes.app_id')
    .select(['routes.app_id', 'routes.https', 'apps.name', 'apps.project', 'apps.environment'])
    .where('routes.host', '=', route.host)
    .where('routes.path', '=', route.path)
    .executeTakeFirst();
  const flag = https === true ? 1 : 0;
  if (present?.app_id === appId) {
    if (https === undefined || present.https === flag) return false;
    await trx
      .updateTable('routes')
      .set({ https: flag })
      .where('host', '=', route.host)
      .where('path', '=', route.path)
      .execute();
    return true;
  }
  if (present) {
    const owner = `${present.project}/${present.environment}/${present.name}`;
    throw new PaasError('conflict', `The route ${formatRoute(route)} belongs to ${owner}.`, {
      hint: `Take it from there first: \`paas routes remove ${formatRoute(route)}${appFlags(present)}\`.`,
    });
  }
  await trx
    .insertInto('routes')
    .values({ ...route, app_id: appId, process_type: 'web', created_at: Date.now(), https: flag })
    .execute();
  return true;
}

/** Takes a route from an app; false when it did not have it. */
export async function removeRoute(trx: Trx, appId: string, text: string): Promise<boolean> {
  const { host, path } = parseRoute(text);
  const result = await trx
    .deleteFrom('routes')
    .where('app_id', '=', appId)
    .where('host', '=', host)
    .where('path', '=', path)
    .executeTakeFirst();
  return result.numDeletedRows > 0n;
}

/** Takes the TCP ports of services that a release no longer has. */
export async function dropTcpPorts(trx: Trx, appId: string, release: number): Promise<void> {
  const row = await trx
    .selectFrom('releases')
    .select('processes')
    .where('app_id', '=', appId)
    .where('version', '=', release)
    .executeTakeFirst();
  if (!row) return;
  const processes = Object.entries(JSON.parse(row.processes) as ReleaseProcesses);
  const services = processes.flatMap(([type, { kind }]) => (kind === 'service' ? [type] : []));
  let gone = trx.deleteFrom('tcp_ports').where('app_id', '=', appId);
  if (services.length > 0) gone = gone.where('process_type', 'not in', services);
  await gone.execute();
}

/** Process types of an app that some route or TCP port leads to. */
export async function routedTypes(db: Db, appId: string): Promise<ReadonlySet<string>> {
  const of = (table: 'routes' | 'tcp_ports') => db.selectFrom(table).select('process_type').where('app_id', '=', appId);
  const rows = await of('routes').union(of('tcp_ports')).execute();
  return new Set(rows.map((row) => row.process_type));
}

/** Gives every `service` process a TCP port of the routers, which it keeps as long as some release in force has it. */
export async function assignTcpPorts(
  trx: Trx,
  appId: string,
  processes: ReleaseProcesses,
  range: { from: number; to: number },
): Promise<void> {
  const rows = await trx.selectFrom('tcp_ports').selectAll().execute();
  const services = Object.entries(processes).flatMap(([type, { kind }]) => (kind === 'service' ? [type] : []));
  const taken = new Set(rows.map((row) => row.port));
  for (const type of services) {
    if (rows.some((row) => row.app_id === appId && row.process_type === type)) continue;
    let port = range.from;
    while (taken.has(port)) port++;
    if (port > range.to) {
      throw new PaasError('no_capacity', `All TCP ports of the routers (${range.from}-${range.to}) are taken.`, {
        hint: 'Destroy a service that is no longer needed, or widen the range.',
      });
    }
    taken.add(port);
    await trx.insertInto('tcp_ports').values({ port, app_id: appId, process_type: type }).execute();
  }
}
