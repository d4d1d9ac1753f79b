/** The loops of the control plane: who looks at what, when. Only the server that holds the lease reconciles. */
import type { Control } from '../context.ts';
import { assignmentOf } from '../agents/assignments.ts';
import type { StoredNonces } from '../store/nonces.ts';
import { releaseLease, takeLease } from '../store/leases.ts';
import { dueCertificates, issueCertificate } from '../certificates/acme/issue.ts';
import { AppReconciler } from './app.ts';
import { reconcileCron } from './cron.ts';
import { maintain } from './maintenance.ts';
import { KeyedLoop, type Wake } from './wake.ts';

const leaseName = 'reconciler';
const maintenanceMs = 5 * 60_000;
/** Every so many ticks all apps are looked at, settled or not: at the start, and now and then. */
const fullLookEvery = 30;

export class Loops {
  readonly wake: Wake;
  readonly #control: () => Control;
  readonly #nonces: StoredNonces;
  readonly #apps: KeyedLoop;
  readonly #hosts: KeyedLoop;
  readonly #routes: KeyedLoop;
  readonly #assignments: KeyedLoop;
  readonly #certificates: KeyedLoop;
  readonly #ticks: KeyedLoop;
  readonly #maintenance: KeyedLoop;
  readonly #stopping = new AbortController();
  #timers: NodeJS.Timeout[] = [];
  #leading = false;
  #maintainedAt = Date.now();
  #rounds = 0;

  constructor(control: () => Control, nonces: StoredNonces) {
    this.#control = control;
    this.#nonces = nonces;
    const failed = (what: string) => (key: string, error: unknown) =>
      control().logger.error(`${what} failed; tried again`, error, { key });
    this.#apps = new KeyedLoop((id) => new AppReconciler(control()).reconcile(id), failed('a look at an app'));
    this.#hosts = new KeyedLoop(() => control().hosts.reconcile(), failed('a look at the hosts'));
    this.#routes = new KeyedLoop(() => this.#reconcileRoutes(), failed('a look at the routes'));
    this.#assignments = new KeyedLoop((id) => this.#assign(id), failed('an assignment'));
    this.#certificates = new KeyedLoop(
      (host) => issueCertificate(control(), host, this.#stopping.signal),
      failed('a certificate'),
    );
    this.#ticks = new KeyedLoop(() => this.#tick(), failed('the regular look'));
    this.#maintenance = new KeyedLoop(() => this.#maintain(), failed('maintenance'));
    this.wake = {
      app: (id) => this.#leading && this.#apps.wake(id),
      hosts: () => this.#leading && this.#hosts.wake('hosts'),
      routes: () => this.#leading && this.#routes.wake('routes'),
      waiting: () => this.#ticks.wake('tick'),
    };
  }

  /** Hands a host its present assignment. */
  assign(hostId: string): void {
    this.#assignments.wake(hostId);
  }

  async start(): Promise<void> {
    await this.#tick();
    const { tick } = this.#control().settings.timing;
    this.#timers = [setInterval(() => this.#ticks.wake('tick'), tick)];
  }

  async #tick(): Promise<void> {
    const control = this.#control();
    const lease = await takeLease(control.store, leaseName, control.serverId, control.settings.timing.lease);
    this.#leading = lease !== null;
    if (!this.#leading) return;
    this.wake.hosts();
    this.wake.routes();
    // Apps are looked at when something wakes them; besides, all that are not settled, so that no wake-up can be lost.
    const everyone = this.#rounds++ % fullLookEvery === 0;
    for (const id of everyone ? await allApps(control) : await unsettledApps(control)) this.wake.app(id);
    await this.#wakeOnceOffs();
    await reconcileCron(control);
    for (const host of await dueCertificates(control)) this.#certificates.wake(host);
    // Not waited for: it may take minutes, and the lease, schedules and clocks of canaries do not stand still meanwhile.
    this.#maintenance.wake('maintenance');
  }

  async #maintain(): Promise<void> {
    if (Date.now() - this.#maintainedAt < maintenanceMs) return;
    try {
      await maintain(this.#control(), this.#nonces);
    } finally {
      this.#maintainedAt = Date.now();
    }
  }

  async #reconcileRoutes(): Promise<void> {
    const control = this.#control();
    const { stopped, advanced } = await control.routing.reconcile();
    for (const app of stopped) this.wake.app(app);
    if (stopped.length > 0) await this.#assignAll(stopped);
    if (advanced) for (const id of await unsettledApps(control)) this.wake.app(id);
  }

  /** Instances of these apps changed: their hosts are told. */
  async #assignAll(apps: readonly string[]): Promise<void> {
    const rows = await this.#control()
      .store.db.selectFrom('instances')
      .select('host_id')
      .distinct()
      .where('app_id', 'in', apps)
      .where('ended_at', 'is', null)
      .execute();
    for (const { host_id: host } of rows) if (host !== null) this.assign(host);
  }

  async #assign(hostId: string): Promise<void> {
    const control = this.#control();
    if (!control.hub.connected(hostId)) return;
    const assignment = await assignmentOf(control, hostId);
    if (assignment) control.hub.send(hostId, { type: 'assignment', assignment });
  }

  /**
   * One-offs that wait for a host, the oldest first: tried again here, since no app's workload holds them. Where one finds
   * no room, none that is as large is tried: each try reads all instances, and there may be many that wait.
   */
  async #wakeOnceOffs(): Promise<void> {
    const control = this.#control();
    const rows = await control.store.db
      .selectFrom('instances')
      .selectAll()
      .where('ended_at', 'is', null)
      .where('host_id', 'is', null)
      .where('command', 'is not', null)
      .orderBy('created_at')
      .execute();
    let tooLarge = Infinity;
    for (const row of rows) {
      if (row.memory_mb < tooLarge && !(await control.placeOnce(row))) tooLarge = row.memory_mb;
    }
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#stopping.abort();
    const work = [this.#apps, this.#hosts, this.#routes, this.#assignments, this.#certificates, this.#maintenance];
    await Promise.all([this.#ticks, ...work].map((loop) => loop.close()));
    const control = this.#control();
    await control.hosts.close();
    if (this.#leading) await releaseLease(control.store, leaseName, control.serverId);
  }
}

async function allApps(control: Control): Promise<string[]> {
  return (await control.store.db.selectFrom('apps').select('id').execute()).map(({ id }) => id);
}

/** Apps with a deployment under way, instances that wait, leave or are not of the batch in force, or on their way out. */
async function unsettledApps(control: Control): Promise<string[]> {
  const { db } = control.store;
  const [deployments, instances, destroying] = await Promise.all([
    db.selectFrom('deployments').select('app_id').distinct().where('finished_at', 'is', null).execute(),
    db
      .selectFrom('instances')
      .innerJoin('apps', 'apps.id', 'instances.app_id')
      .select('instances.app_id')
      .distinct()
      .where('ended_at', 'is', null)
      .where((eb) =>
        eb.or([
          eb('host_id', 'is', null),
          eb('desired', '!=', 'run'),
          eb('instances.state', '!=', 'healthy'),
          eb('instances.release', '!=', eb.ref('apps.release')),
          eb('instances.epoch', '!=', eb.ref('apps.epoch')),
        ]),
      )
      .execute(),
    db.selectFrom('apps').select('id as app_id').where('state', '=', 'destroying').execute(),
  ]);
  return [...new Set([...deployments, ...instances, ...destroying].map((row) => row.app_id))];
}
