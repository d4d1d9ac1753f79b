/** Routes and TCP ports of apps in the store. */
import { formatRoute, parseRoute, type RouteParts } from '../../shared/routes-text.ts';
import { PaasError } from '../../shared/errors.ts';
import type { Db, Trx } from '../store/open.ts';
import type { ReleaseProcesses } from './types.ts';

export async function routesOf(db: Db | Trx, appId: string): Promise<(RouteParts & { process: string })[]> {
  const rows = await db
    .selectFrom('routes')
    .selectAll()
    .where('app_id', '=', appId)
    .orderBy('created_at')
    .orderBy('host')
    .execute();
  return rows.map(({ host, path, process_type }) => ({ host, path, process: process_type }));
}

/**
 * Gives an app a route. True when it is new, false when the app has it already.
 * @throws PaasError conflict when another app has it
 */
export async function addRoute(trx: Trx, appId: string, text: string): Promise<boolean> {
  const route = parseRoute(text);
  const present = await trx
    .selectFrom('routes')
    .innerJoin('apps', 'apps.id', 'routes.app_id')
    .select(['routes.app_id', 'apps.name', 'apps.project', 'apps.environment'])
    .where('routes.host', '=', route.host)
    .where('routes.path', '=', route.path)
    .executeTakeFirst();
  if (present?.app_id === appId) return false;
  if (present) {
    const owner = `${present.project}/${present.environment}/${present.name}`;
    throw new PaasError('conflict', `The route ${formatRoute(route)} belongs to ${owner}.`, {
      hint: `Take it from there first: \`paas routes remove ${formatRoute(route)} -a ${present.name}\`.`,
    });
  }
  await trx
    .insertInto('routes')
    .values({ ...route, app_id: appId, process_type: 'web', created_at: Date.now() })
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

/** Gives every `service` process a TCP port of the routers, which it keeps as long as it exists. */
export async function assignTcpPorts(
  trx: Trx,
  appId: string,
  processes: ReleaseProcesses,
  range: { from: number; to: number },
): Promise<void> {
  const rows = await trx.selectFrom('tcp_ports').selectAll().execute();
  const services = Object.entries(processes).flatMap(([type, { kind }]) => (kind === 'service' ? [type] : []));
  for (const row of rows) {
    if (row.app_id === appId && !services.includes(row.process_type)) {
      await trx.deleteFrom('tcp_ports').where('port', '=', row.port).execute();
    }
  }
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
