/** The route table's content, out of what the store has: routes, healthy instances, and what routers do for apps. */
import type { Backend, Gray, RouteTable, TcpRoute } from '../../shared/contracts/routes.ts';
import { PaasError } from '../../shared/errors.ts';
import { grayOf, grayTable } from '../deploy/gray.ts';
import { routerPolicy } from '../deploy/router-settings.ts';
import type { Formation } from '../deploy/types.ts';
import { canaryOf, servedPercent } from '../rollout/canary.ts';
import type { Db } from '../store/open.ts';
import type { Schema } from '../store/schema.ts';

export type TableContent = Omit<RouteTable, 'version'>;

const routedColumns = [
  ...(['id', 'project', 'environment', 'name', 'state', 'release', 'formation'] as const),
  ...(['gray', 'router', 'maintenance', 'nginx'] as const),
] as const;
type RoutedApp = Pick<Schema['apps'], (typeof routedColumns)[number]>;
type RoutedInstance = Pick<
  Schema['instances'],
  'id' | 'app_id' | 'process_type' | 'ordinal' | 'release' | 'address' | 'port'
>;

/**
 * @param stickyKey asked for only where some backend is gray
 * @param regions path of the router hosts' MaxMind database
 * @returns the table; private keys in it are still sealed (`openCertificates`)
 */
export async function buildTable(
  db: Db,
  stickyKey: () => Promise<string>,
  regions: string | undefined,
): Promise<TableContent> {
  const [routes, ports, apps, instances, canaries, certificates] = await Promise.all([
    db.selectFrom('routes').selectAll().orderBy('host').orderBy('path').execute(),
    db.selectFrom('tcp_ports').selectAll().orderBy('port').execute(),
    db.selectFrom('apps').select(routedColumns).execute(),
    db
      .selectFrom('instances')
      .select(['id', 'app_id', 'process_type', 'ordinal', 'release', 'address', 'port'])
      .where('ended_at', 'is', null)
      .where('desired', '=', 'run')
      .where('state', '=', 'healthy')
      .where('ready', '=', 1)
      .where('command', 'is', null)
      .orderBy('id')
      .execute(),
    db
      .selectFrom('rollouts')
      .select(['app_id', 'to_release', 'canary', 'state'])
      .where('finished_at', 'is', null)
      .where('canary', 'is not', null)
      .execute(),
    db.selectFrom('certificates').selectAll().orderBy('host').execute(),
  ]);
  const shares = new Map(canaries.map((row) => [row.app_id, canaryGray(row)]));
  const byId = new Map(apps.map((app) => [app.id, app]));
  const byTarget = new Map<string, RoutedInstance[]>();
  for (const instance of instances) {
    const key = `${instance.app_id}/${instance.process_type}`;
    const known = byTarget.get(key);
    if (known) known.push(instance);
    else byTarget.set(key, [instance]);
  }
  const backends: Record<string, Backend> = {};
  const backendOf = (appId: string, processType: string): string => {
    const key = `${appId}/${processType}`;
    const app = byId.get(appId);
    if (!app || Object.hasOwn(backends, key)) return key;
    const gray = grayTable(grayOf(app), app.release, shares.get(appId));
    backends[key] = backend(app, processType, byTarget.get(key) ?? [], gray);
    return key;
  };
  const tcp: TcpRoute[] = ports.map((p) => ({ port: p.port, backend: backendOf(p.app_id, p.process_type) }));
  const http = routes.map(({ host, path, app_id, process_type, https }) => {
    const route = { host, path, backend: backendOf(app_id, process_type) };
    return https === 1 ? { ...route, https: true } : route;
  });
  const isGray = Object.values(backends).some(({ gray }) => gray !== undefined);
  const shown = certificates.flatMap(({ host, chain, key }) =>
    chain === null || key === null ? [] : [{ hosts: [host], chain, key }],
  );
  const challenges = certificates.flatMap(({ challenge }) => {
    if (challenge === null) return [];
    const { token, answer } = JSON.parse(challenge) as { token: string; answer: string };
    return [[token, answer] as const];
  });
  return {
    http,
    tcp,
    backends,
    ...(isGray ? { stickyKey: await stickyKey() } : {}),
    ...(shown.length > 0 ? { certificates: shown } : {}),
    ...(challenges.length > 0 ? { challenges: Object.fromEntries(challenges) } : {}),
    ...(regions === undefined ? {} : { regions }),
  };
}

/** Where a certificate's private key is sealed. */
export const certificatePlace = (host: string): string => `certificates/${host}`;

/**
 * The table as routers get it, with private keys opened by `open(sealed, place)`. A key that does not open costs its own
 * certificate, not the table: every app is routed by it.
 * @returns also the hosts whose keys did not open
 */
export function openCertificates(
  table: RouteTable,
  open: (sealed: string, place: string) => string,
): { table: RouteTable; unreadable: string[] } {
  if (!table.certificates) return { table, unreadable: [] };
  const unreadable: string[] = [];
  const certificates = table.certificates.flatMap((certificate) => {
    const host = certificate.hosts[0]!;
    try {
      return [{ ...certificate, key: open(certificate.key, certificatePlace(host)) }];
    } catch (error) {
      if (!(error instanceof PaasError && error.code === 'corrupt')) throw error;
      unreadable.push(host);
      return [];
    }
  });
  return { table: { ...table, certificates }, unreadable };
}

function backend(
  app: RoutedApp,
  processType: string,
  instances: readonly RoutedInstance[],
  gray: Gray | undefined,
): Backend {
  const endpoints = instances.flatMap(({ id, ordinal, release, address, port }) =>
    address !== null && port !== null
      ? [{ instance: id, name: `${processType}.${ordinal}`, release, address, port }]
      : [],
  );
  const wanted = (JSON.parse(app.formation) as Formation)[processType]?.instances ?? 0;
  const idle = app.state !== 'active' || wanted === 0;
  return {
    app: `${app.project}/${app.environment}/${app.name}`,
    appId: app.id,
    state: endpoints.length > 0 ? 'serving' : idle ? 'stopped' : 'starting',
    endpoints,
    ...(gray ? { gray } : {}),
    ...routerPolicy(app),
  };
}

type RolloutShare = Pick<Schema['rollouts'], 'to_release' | 'canary' | 'state'>;

/** The part of the clients that gets a canary rollout's new release now; null for other rollouts. */
export function canaryPercent(row: RolloutShare): number | null {
  const canary = canaryOf(row);
  if (!canary) return null;
  // On the way back nobody is sent to the new release any more.
  return ['running', 'paused'].includes(row.state) ? servedPercent(canary) : 0;
}

/** A canary rollout as routers see it: the new release beside all others, with its share of the clients. */
export function canaryGray(row: RolloutShare): Gray {
  const percent = canaryPercent(row) ?? 0;
  return { releases: [row.to_release], rules: [{ release: row.to_release, all: [{ kind: 'percent', percent }] }] };
}
