/**
 * From apps, routes and healthy instances to the route table; from the routers' acknowledgements to what may stop.
 *
 *   instance healthy ─► in the table (version n) ─► every router acknowledged n: routed
 *   instance leaving ─► out of the table (version m) ─► every router acknowledged m and its open requests ended: stops
 */
import { randomBytes } from 'node:crypto';
import type { RouterStatus, RouteTable } from '../../shared/contracts/routes.ts';
import { sameJson } from '../deploy/diff.ts';
import { routedTypes } from '../deploy/routes.ts';
import { raiseGenerations } from '../store/instances.ts';
import type { Store } from '../store/open.ts';
import type { InstanceRow } from '../store/schema.ts';
import type { Hub } from '../agents/hub.ts';
import type { Sealer } from '../secrets.ts';
import { buildTable, openCertificates } from './table.ts';

const resendMs = 1000;

export interface RoutingOptions {
  store: Store;
  hub: Hub;
  sealer: Sealer;
  /** Open requests of a leaving instance are waited for so long. */
  drainMs: number;
  /** Path of the router hosts' MaxMind database. */
  regions?: string | undefined;
}

export class Routing {
  readonly #store: Store;
  readonly #hub: Hub;
  readonly #sealer: Sealer;
  readonly #drainMs: number;
  readonly #regions: string | undefined;
  /** Hosts whose private keys did not open when the table was last sent. */
  #unreadable: string[] = [];
  /** Private keys in it are sealed. */
  #table: RouteTable = { version: 0, http: [], tcp: [], backends: {} };
  #loaded = false;
  #stickyKey: string | null = null;
  /** The acknowledged version at the last look: what waits for it is woken when it moves. */
  #seen = -1;
  /** Router hosts that count: ready ones. */
  #routers: string[] = [];
  readonly #statuses = new Map<string, RouterStatus>();
  /** Why routers do not run, by host. */
  readonly #down = new Map<string, string>();
  /** When each router was sent the present table. */
  readonly #sentAt = new Map<string, number>();
  /** Instance id -> table version in which it first stood. */
  #since = new Map<string, number>();
  /** The same by token of an ACME challenge. */
  #challenges = new Map<string, number>();

  constructor({ store, hub, sealer, drainMs, regions }: RoutingOptions) {
    this.#store = store;
    this.#hub = hub;
    this.#sealer = sealer;
    this.#drainMs = drainMs;
    this.#regions = regions;
  }

  /** As it is kept: private keys in it are sealed. */
  get table(): RouteTable {
    return this.#table;
  }

  /** As routers get it. */
  tableForRouters(): RouteTable {
    const { table, unreadable } = openCertificates(this.#table, (sealed, place) => this.#sealer.open(sealed, place));
    this.#unreadable = unreadable;
    return table;
  }

  /** A router's word about itself. Returns whether anything may follow from it. */
  report(hostId: string, status: RouterStatus): boolean {
    const before = this.#statuses.get(hostId);
    this.#statuses.set(hostId, status);
    this.#down.delete(hostId);
    return before?.version !== status.version || !sameJson(before.open, status.open);
  }

  statusOf(hostId: string): RouterStatus | undefined {
    return this.#statuses.get(hostId);
  }

  /** A router does not run, until it reports again. */
  down(hostId: string, reason: string): void {
    this.#down.set(hostId, reason);
  }

  /** The routers' view for `paas status`: the url of the first, and the version all of them have. */
  summary(): { url: string | null; tlsUrl: string | null; driver: string | null; version: number; problems: string[] } {
    const statuses = [...this.#statuses.values()];
    return {
      url: statuses[0]?.url ?? null,
      tlsUrl: statuses[0]?.tlsUrl ?? null,
      driver: statuses[0]?.driver ?? null,
      version: this.#acknowledged(),
      problems: [
        ...[...this.#down.values()].map((reason) => `the router does not run: ${reason}`),
        ...statuses.flatMap((status) => status.problems),
        ...this.#unreadable.map(
          (host) =>
            `the key of the certificate of ${host} cannot be read: \`paas certs add ${host}\` puts another in its place`,
        ),
      ],
    };
  }

  /** Whether every router sends requests to this instance. */
  isRouted(instanceId: string): boolean {
    const since = this.#since.get(instanceId);
    return since !== undefined && this.#acknowledged() >= since;
  }

  /** Whether every router gives the answer to an ACME challenge. */
  answers(token: string): boolean {
    const since = this.#challenges.get(token);
    return since !== undefined && this.#acknowledged() >= since;
  }

  /** Tells whether requests may reach an app's instances on every way there is, also by routes that are not in the table yet. */
  async reaching(appId: string): Promise<(instance: { id: string; processType: string }) => boolean> {
    const types = await routedTypes(this.#store.db, appId);
    return ({ id, processType }) => !types.has(processType) || this.isRouted(id);
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

  /**
   * Whether every router has a table at least as new. One that is out of sight counts too: it may serve on what it had,
   * until its host is given up.
   */
  #without(version: number): boolean {
    return this.#routers.every((id) => (this.#statuses.get(id)?.version ?? -1) >= version);
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
    for (const known of [this.#statuses, this.#down])
      for (const id of known.keys()) if (!hosts.some((host) => host.id === id)) known.delete(id);
    const next = await buildTable(this.#store.db, () => this.stickyKey(), this.#regions);
    const { version: _, ...content } = this.#table;
    if (!sameJson(content, next)) {
      const table = { version: this.#table.version + 1, ...next };
      // Stored before anyone sees it: a version that routers have acknowledged must never be another table's.
      await this.#save(table);
      this.#table = table;
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
    let opened: RouteTable | null = null;
    for (const id of this.#routers) {
      if (this.#statuses.get(id)?.version === this.#table.version) continue;
      if (now - (this.#sentAt.get(id) ?? -Infinity) < resendMs) continue;
      opened ??= this.tableForRouters();
      if (this.#hub.send(id, { type: 'table', table: opened })) this.#sentAt.set(id, now);
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
    const tokens = Object.keys(this.#table.challenges ?? {});
    this.#challenges = new Map(tokens.map((token) => [token, this.#challenges.get(token) ?? this.#table.version]));
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
      .select(['id', 'app_id', 'host_id', 'kind', 'command', 'was_healthy', 'drain_version', 'drain_at'])
      .where('ended_at', 'is', null)
      .where('desired', '=', 'drain')
      .execute();
    if (draining.length === 0) return [];
    const { version } = this.#table;
    const done = draining.filter((i) => {
      if (!wasRoutable(i)) return true;
      if (now - (i.drain_at ?? now) >= this.#drainMs) return true;
      // It began to leave after the table was read: the next one is the first without it.
      if (this.#since.has(i.id)) return false;
      return this.#without(i.drain_version ?? version) && this.#open(i.id) === 0;
    });
    const ids = new Set(done.map((i) => i.id));
    const fresh = draining
      .filter((i) => i.drain_version === null && !ids.has(i.id) && !this.#since.has(i.id))
      .map((i) => i.id);
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

  async #save(table: RouteTable): Promise<void> {
    const value = JSON.stringify(table);
    await this.#store.db
      .insertInto('meta')
      .values({ key: 'route-table', value })
      .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
      .execute();
  }
}

/**
 * Whether an instance may have stood in some table. That its route or port is gone by now says nothing: routers may
 * still have the table from before, and requests and connections from then go on.
 */
function wasRoutable(row: Pick<InstanceRow, 'kind' | 'command' | 'was_healthy'>): boolean {
  return (row.kind === 'web' || row.kind === 'service') && row.command === null && row.was_healthy === 1;
}
