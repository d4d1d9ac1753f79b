/**
 * From apps, routes and healthy instances to the route table; from the routers' acknowledgements to what may stop.
 *
 *   instance healthy ─► in the table (version n) ─► every router acknowledged n: routed
 *   instance leaving ─► out of the table (version m) ─► every router acknowledged m and its open requests ended: stops
 */
import { randomBytes } from 'node:crypto';
import type { Backend, Gray, RouterStatus, RouteTable, TcpRoute } from '../../shared/contracts/routes.ts';
import { sameJson } from '../deploy/diff.ts';
import { grayOf, grayTable } from '../deploy/gray.ts';
import type { Formation } from '../deploy/types.ts';
import { raiseGenerations } from '../store/instances.ts';
import { canaryOf, servedPercent } from '../rollout/canary.ts';
import type { Store } from '../store/open.ts';
import type { Hub } from '../agents/hub.ts';

const resendMs = 1000;

export class Routing {
  readonly #store: Store;
  readonly #hub: Hub;
  readonly #drainMs: number;
  #table: RouteTable = { version: 0, http: [], tcp: [], backends: {} };
  #loaded = false;
  #stickyKey: string | null = null;
  /** The acknowledged version at the last look: what waits for it is woken when it moves. */
  #seen = -1;
  /** Router hosts that count: ready ones. */
  #routers: string[] = [];
  readonly #statuses = new Map<string, RouterStatus>();
  /** When each router was sent the present table. */
  readonly #sentAt = new Map<string, number>();
  /** Instance id -> table version in which it first stood. */
  #since = new Map<string, number>();

  constructor(store: Store, hub: Hub, drainMs: number) {
    this.#store = store;
    this.#hub = hub;
    this.#drainMs = drainMs;
  }

  get table(): RouteTable {
    return this.#table;
  }

  /** A router's word about itself. Returns whether anything may follow from it. */
  report(hostId: string, status: RouterStatus): boolean {
    const before = this.#statuses.get(hostId);
    this.#statuses.set(hostId, status);
    return before?.version !== status.version || !sameJson(before.open, status.open);
  }

  statusOf(hostId: string): RouterStatus | undefined {
    return this.#statuses.get(hostId);
  }

  /** The routers' view for `paas status`: the url of the first, and the version all of them have. */
  summary(): { url: string | null; driver: string | null; version: number; problems: string[] } {
    const statuses = [...this.#statuses.values()];
    return {
      url: statuses[0]?.url ?? null,
      driver: statuses[0]?.driver ?? null,
      version: this.#acknowledged(),
      problems: statuses.flatMap((status) => status.problems),
    };
  }

  /** Whether every router sends requests to this instance. */
  isRouted(instanceId: string): boolean {
    const since = this.#since.get(instanceId);
    return since !== undefined && this.#acknowledged() >= since;
  }

  /** Whether requests may reach an instance of an app on every way there is: it has no route, or all routers know it. */
  reaches(appId: string, instance: { id: string; processType: string }): boolean {
    return !this.isTarget(appId, instance.processType) || this.isRouted(instance.id);
  }

  /** Whether the table has an instance of a release. */
  hasEndpoint(appId: string, release: number): boolean {
    return Object.values(this.#table.backends).some(
      (backend) => backend.appId === appId && backend.endpoints.some((endpoint) => endpoint.release === release),
    );
  }

  /** Process types (`appId/type`) that some route or TCP port leads to. */
  isTarget(appId: string, processType: string): boolean {
    return Object.hasOwn(this.#table.backends, `${appId}/${processType}`);
  }

  /** The version that every connected router has in force; -1 while none is connected. */
  #acknowledged(): number {
    const versions = this.#routers
      .filter((id) => this.#hub.connected(id))
      .map((id) => this.#statuses.get(id)?.version ?? -1);
    return versions.length === 0 ? -1 : Math.min(...versions);
  }

  #open(instanceId: string): number {
    let open = 0;
    for (const id of this.#routers) open += this.#statuses.get(id)?.open[instanceId] ?? 0;
    return open;
  }

  /** Rebuilds the table, hands a new version to the routers, and lets drained instances stop. Answers their apps. */
  async reconcile(now = Date.now()): Promise<{ stopped: string[]; advanced: boolean }> {
    await this.load();
    const hosts = await this.#store.db.selectFrom('hosts').select(['id', 'roles', 'state']).execute();
    this.#routers = hosts
      .filter(
        (h) =>
          (h.state === 'ready' || h.state === 'unreachable') && (JSON.parse(h.roles) as string[]).includes('router'),
      )
      .map((h) => h.id);
    // What a router said that is gone since is no one's word any more.
    for (const id of this.#statuses.keys()) if (!hosts.some((host) => host.id === id)) this.#statuses.delete(id);
    const next = await this.#build();
    const { version: _, ...content } = this.#table;
    if (!sameJson(content, next)) {
      this.#table = { version: this.#table.version + 1, ...next };
      await this.#save();
      this.#sentAt.clear();
    }
    this.#sendTable(now);
    this.#remember();
    const stopped = await this.#stopDrained(now);
    const acknowledged = this.#acknowledged();
    const advanced = acknowledged !== this.#seen;
    this.#seen = acknowledged;
    return { stopped, advanced };
  }

  /** Tells routers that have another version; again from time to time, since a link that is just made may miss it. */
  #sendTable(now: number): void {
    for (const id of this.#routers) {
      if (this.#statuses.get(id)?.version === this.#table.version) continue;
      if (now - (this.#sentAt.get(id) ?? -Infinity) < resendMs) continue;
      if (this.#hub.send(id, { type: 'table', table: this.#table })) this.#sentAt.set(id, now);
    }
  }

  #remember(): void {
    const since = new Map<string, number>();
    for (const backend of Object.values(this.#table.backends)) {
      for (const { instance } of backend.endpoints) {
        since.set(instance, this.#since.get(instance) ?? this.#table.version);
      }
    }
    this.#since = since;
  }

  async #build(): Promise<Omit<RouteTable, 'version'>> {
    const { db } = this.#store;
    const [routes, ports, apps, instances, canaries] = await Promise.all([
      db.selectFrom('routes').selectAll().orderBy('host').orderBy('path').execute(),
      db.selectFrom('tcp_ports').selectAll().orderBy('port').execute(),
      db.selectFrom('apps').select(['id', 'project', 'environment', 'name', 'state', 'formation', 'gray']).execute(),
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
    ]);
    const shares = new Map(canaries.map((row) => [row.app_id, canaryGray(row)]));
    const byId = new Map(apps.map((app) => [app.id, app]));
    const backends: Record<string, Backend> = {};
    const backendOf = (appId: string, processType: string): string => {
      const key = `${appId}/${processType}`;
      const app = byId.get(appId);
      if (!app || Object.hasOwn(backends, key)) return key;
      const endpoints = instances.flatMap((i) =>
        i.app_id === appId && i.process_type === processType && i.address !== null && i.port !== null
          ? [
              {
                instance: i.id,
                name: `${processType}.${i.ordinal}`,
                release: i.release,
                address: i.address,
                port: i.port,
              },
            ]
          : [],
      );
      const wanted = (JSON.parse(app.formation) as Formation)[processType]?.instances ?? 0;
      const idle = app.state !== 'active' || wanted === 0;
      const state = endpoints.length > 0 ? 'serving' : idle ? 'stopped' : 'starting';
      const gray = grayTable(grayOf(app), shares.get(appId));
      const name = `${app.project}/${app.environment}/${app.name}`;
      backends[key] = { app: name, appId, state, endpoints, ...(gray ? { gray } : {}) };
      return key;
    };
    const tcp: TcpRoute[] = ports.map((p) => ({ port: p.port, backend: backendOf(p.app_id, p.process_type) }));
    const http = routes.map((r) => ({ host: r.host, path: r.path, backend: backendOf(r.app_id, r.process_type) }));
    const isGray = Object.values(backends).some(({ gray }) => gray !== undefined);
    return { http, tcp, backends, ...(isGray ? { stickyKey: await this.stickyKey() } : {}) };
  }

  /** The key of the cookies by which clients keep their share: made once, so that they outlive every table. */
  async stickyKey(): Promise<string> {
    if (this.#stickyKey !== null) return this.#stickyKey;
    const { db } = this.#store;
    const value = randomBytes(32).toString('base64url');
    await db
      .insertInto('meta')
      .values({ key: 'sticky-key', value })
      .onConflict((conflict) => conflict.column('key').doNothing())
      .execute();
    const row = await db.selectFrom('meta').select('value').where('key', '=', 'sticky-key').executeTakeFirstOrThrow();
    return (this.#stickyKey = row.value);
  }

  /** Leaving instances that no router sends anything to any more become `stop`. Returns the apps of these. */
  async #stopDrained(now: number): Promise<string[]> {
    const draining = await this.#store.db
      .selectFrom('instances')
      .select(['id', 'app_id', 'host_id', 'process_type', 'kind', 'drain_version', 'drain_at'])
      .where('ended_at', 'is', null)
      .where('desired', '=', 'drain')
      .execute();
    if (draining.length === 0) return [];
    const acknowledged = this.#acknowledged();
    const { version } = this.#table;
    const done = draining.filter((i) => {
      if (!this.#serves(i) || !this.isTarget(i.app_id, i.process_type)) return true;
      const out = acknowledged >= (i.drain_version ?? version);
      return (out && this.#open(i.id) === 0) || now - (i.drain_at ?? now) >= this.#drainMs;
    });
    const ids = new Set(done.map((i) => i.id));
    const fresh = draining.filter((i) => i.drain_version === null && !ids.has(i.id)).map((i) => i.id);
    if (ids.size + fresh.length === 0) return [];
    await this.#store.transaction(async (trx) => {
      // The table just built is the first one without them.
      if (fresh.length > 0) {
        await trx.updateTable('instances').set({ drain_version: version }).where('id', 'in', fresh).execute();
      }
      if (ids.size === 0) return;
      await trx
        .updateTable('instances')
        .set({ desired: 'stop' })
        .where('id', 'in', [...ids])
        .execute();
      await raiseGenerations(trx, [...new Set(done.flatMap((i) => (i.host_id === null ? [] : [i.host_id])))]);
    });
    return [...new Set(done.map((i) => i.app_id))];
  }

  #serves(instance: { kind: string }): boolean {
    return instance.kind === 'web' || instance.kind === 'service';
  }

  /** Reads the table as it was saved; before that there is none to give to a router. */
  async load(): Promise<void> {
    if (this.#loaded) return;
    const row = await this.#store.db
      .selectFrom('meta')
      .select('value')
      .where('key', '=', 'route-table')
      .executeTakeFirst();
    if (row) this.#table = JSON.parse(row.value) as RouteTable;
    this.#loaded = true;
  }

  async #save(): Promise<void> {
    const value = JSON.stringify(this.#table);
    await this.#store.db
      .insertInto('meta')
      .values({ key: 'route-table', value })
      .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
      .execute();
  }
}

/** A canary rollout as routers see it: the new release beside all others, with its share of the clients. */
function canaryGray(row: { to_release: number; canary: string | null; state: string }): Gray {
  const canary = canaryOf(row);
  // On the way back nobody is sent to the new release any more.
  const percent = canary && ['running', 'paused'].includes(row.state) ? servedPercent(canary) : 0;
  return { releases: [row.to_release], rules: [{ release: row.to_release, all: [{ kind: 'percent', percent }] }] };
}
