/**
 * Keeps the hosts that are needed: creates them through the cloud, waits for their agents, notices when they are gone.
 *
 *   (intent recorded) creating ─► ready ◄─► unreachable
 *                        │  └ boot time-out ─► deleting        │ the cloud says gone or stopped, or the grace is over
 *                        ▼                                     ▼
 *                  (another intent)                          lost ─► deleting ─► (row removed)
 *
 * An intent with a unique token is durable before the cloud is asked; after a crash or an ambiguous answer the token is
 * looked up first, so nothing leaks and nothing is created twice.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { CloudDriver, CloudHost, CloudHostState } from '../../clouds/port.ts';
import type { AgentUserData } from '../../shared/contracts/agent.ts';
import { PaasError } from '../../shared/errors.ts';
import { newSecret } from '../../shared/ids.ts';
import type { Control } from '../context.ts';
import type { HostRow } from '../store/schema.ts';
import { wantNeededHosts } from './needed-hosts.ts';
import { judgeSilence } from './silence.ts';

/** Value of `draining` for a host that is to be removed, not only drained. */
export const removeWhenEmpty = 2;

/** How long an agent may take to come back before its host counts as unreachable. */
const restartMs = 1500;

/** Looks come at each tick: so much later than that, and this process itself stood still, or did not lead. */
const heldUpMs = 1500;

/** How long a look waits for the cloud. */
const momentMs = 500;

/** How long a server that stops waits for the cloud. */
const stopMs = 5000;

const hash = (token: string): string => createHash('sha256').update(token).digest('hex');
const rolesOf = (host: HostRow): string[] => JSON.parse(host.roles) as string[];

export class HostReconciler {
  readonly #control: Control;
  /** When the cloud may be asked again about a host, and when a failed creation may be repeated. */
  readonly #notBefore = new Map<string, number>();
  /** Since when hosts are known to boot: their agents' time is not that of a cloud that refused, or of a server that was away. */
  readonly #bootingSince = new Map<string, number>();
  /** What a cloud was asked to do for a host and has not answered yet: one thing at a time. */
  readonly #underWay = new Map<string, Promise<void>>();
  /** What the cloud said of silent hosts since the last look. */
  readonly #words = new Map<string, CloudHostState>();

  #lookedAt = 0;
  /** Since when looks come in time: before, nobody could be heard. */
  #listeningSince = 0;

  constructor(control: Control) {
    this.#control = control;
  }

  /**
   * One look at all hosts; every step is small, and the next look goes on from what is recorded. A cloud's answer that
   * takes longer than a moment holds up its own host alone: it is for a later look.
   */
  async reconcile(): Promise<void> {
    const now = Date.now();
    if (now - this.#lookedAt > this.#control.settings.timing.tick + heldUpMs) this.#listeningSince = now;
    this.#lookedAt = now;
    await Promise.all((await this.#hosts()).map((host) => this.#notice(host)));
    const hosts = await this.#hosts();
    const known = new Set(hosts.map(({ id }) => id));
    for (const memory of [this.#notBefore, this.#bootingSince])
      for (const id of memory.keys()) if (!known.has(id)) memory.delete(id);
    const idle = hosts.filter((host) => !this.#underWay.has(host.id) && this.#due(host));
    await ended(
      idle.map((host) => this.#begin(host)),
      momentMs,
    );
    await judgeSilence(this.#control, this.#words);
    await wantNeededHosts(this.#control);
  }

  /** Waits for what is under way, within what a stop may take; what a cloud does after that is looked up by token. */
  async close(): Promise<void> {
    await ended([...this.#underWay.values()], stopMs);
  }

  #hosts(): Promise<HostRow[]> {
    return this.#control.store.db.selectFrom('hosts').selectAll().orderBy('created_at').execute();
  }

  /** What shows without the cloud: who talks, and who may go. */
  async #notice(host: HostRow): Promise<void> {
    if (host.state === 'lost' || host.state === 'deleting') return;
    const connected = this.#control.hub.connected(host.id);
    if (host.state === 'creating') {
      if (connected) await this.#ready(host);
    } else if (host.draining === removeWhenEmpty && (await this.#empty(host))) {
      await this.#become('deleting', host);
    } else if (this.#heardOf(host)) {
      if (host.state === 'unreachable' && connected) await this.#ready(host);
    } else if (host.state === 'ready' && (await this.#become('unreachable', host))) {
      await this.#event(host, 'host.unreachable', `${host.name} does not answer; its instances and routes stay`);
    }
  }

  /** Asks a host's cloud for the next step. Never rejects. */
  #begin(host: HostRow): Promise<void> {
    const step = this.#advance(host)
      .catch((error: unknown) => this.#failed(host, error))
      .catch((error: unknown) => this.#control.logger.error('a look at a host failed', error, { host: host.name }))
      .finally(() => this.#underWay.delete(host.id));
    this.#underWay.set(host.id, step);
    return step;
  }

  async #advance(host: HostRow): Promise<void> {
    if (host.state === 'unreachable') return this.#listen(host);
    if (host.state === 'ready' && host.cloud_id !== null) return;
    const driver = await this.#control.clouds.driver(host.cloud);
    if (host.state === 'creating') await this.#create(host, driver);
    else if (host.state === 'ready') await this.#find(host, driver);
    else await this.#remove(host, driver);
  }

  /** Its agent's hello has made it ready, unless another change came in between. */
  async #ready(host: HostRow): Promise<void> {
    if (await this.#become('ready', host)) this.#control.wake.waiting();
  }

  /** Connected and talking, or gone only for a moment, as an agent that restarts is. */
  #heardOf(host: HostRow): boolean {
    const { hub, settings } = this.#control;
    const seen = hub.lastSeen(host.id);
    const since = (time: number): number => (Date.now() - time) / settings.timing.silence;
    // Where looks never come in time, a link is broken off later, but it is.
    const silent = seen !== null && since(seen) > 1 && (since(this.#listeningSince) > 1 || since(seen) > 3);
    if (silent) hub.drop(host.id);
    else if (seen !== null) return true;
    return Date.now() - Math.max(host.last_seen ?? 0, this.#control.startedAt) < restartMs;
  }

  /** Neither instances nor builds are there. */
  async #empty(host: HostRow): Promise<boolean> {
    const { db } = this.#control.store;
    const instances = db.selectFrom('instances').select('id').where('host_id', '=', host.id);
    if (await instances.where('ended_at', 'is', null).executeTakeFirst()) return false;
    const builds = db.selectFrom('builds').select('id').where('host_id', '=', host.id);
    return !(await builds.where('state', '=', 'running').executeTakeFirst());
  }

  #due(host: HostRow): boolean {
    return Date.now() >= (this.#notBefore.get(host.id) ?? 0);
  }

  async #create(host: HostRow, driver: CloudDriver): Promise<void> {
    if (host.cloud_id === null) return this.#ask(host, driver);
    const now = Date.now();
    this.#notBefore.set(host.id, now + 500);
    const since = this.#bootingSince.get(host.id) ?? now;
    this.#bootingSince.set(host.id, since);
    const present = await driver.get(host.cloud_id);
    const state = present?.state ?? 'gone';
    const late = now - since > this.#control.settings.timing.bootTimeout;
    if (state === 'gone' || state === 'error' || late) {
      const why = late ? 'its agent has not enrolled in time' : `the cloud says ${state}`;
      if (!(await this.#become('deleting', host, why))) return;
      await this.#event(host, 'host.failed', `${host.name} did not come up: ${why}; it is replaced`);
      this.#control.wake.hosts();
    } else if (present?.state === 'stopped') await driver.start(host.cloud_id);
  }

  /** Looks the intent up, and only then creates. */
  async #ask(host: HostRow, driver: CloudDriver): Promise<void> {
    let found: CloudHost | undefined;
    if (host.attempts > 0) {
      const [first, ...doubles] = await driver.findByToken(host.token);
      found = first;
      for (const double of doubles) await driver.destroy(double.id);
    }
    if (!found) {
      const token = newSecret();
      await this.#set(host, { attempts: host.attempts + 1, enrol_hash: hash(token) });
      found = await driver.create({
        token: host.token,
        name: host.name,
        cpu: host.cpu,
        memoryMb: host.memory_mb,
        userData: JSON.stringify(this.#userData(host, token)),
      });
    }
    // Not its state: an agent may have said hello before the cloud has answered.
    await this.#set(host, { cloud_id: found.id, message: null });
    this.#bootingSince.set(host.id, Date.now());
    await this.#event(host, 'host.created', `${host.name} is being created at ${host.cloud} (${found.id})`, {
      cloudId: found.id,
    });
  }

  /** The cloud's id of a host whose agent said hello although the answer to its creation was lost. */
  async #find(host: HostRow, driver: CloudDriver): Promise<string | null> {
    this.#notBefore.set(host.id, Date.now() + 10_000);
    const [found, ...doubles] = await driver.findByToken(host.token);
    // Which of several is the one that talks is not known: removal takes them all.
    if (!found || doubles.length > 0) return null;
    await this.#set(host, { cloud_id: found.id, message: null });
    this.#notBefore.delete(host.id);
    return found.id;
  }

  /** The cloud's word on a silent host; `unknown` where it does not answer or knows no id of it: then only the grace counts. */
  async #listen(host: HostRow): Promise<void> {
    let word: CloudHostState = 'unknown';
    try {
      const driver = await this.#control.clouds.driver(host.cloud);
      const id = host.cloud_id ?? (await this.#find(host, driver));
      this.#notBefore.set(host.id, Date.now() + 1000);
      if (id !== null) word = (await driver.get(id))?.state ?? 'gone';
    } finally {
      this.#words.set(host.id, word);
    }
  }

  #userData(host: HostRow, token: string): AgentUserData {
    const { router, tls } = this.#control.settings;
    const { driver, address, port, tlsPort } = router;
    const roles = rolesOf(host) as AgentUserData['roles'];
    return {
      controlUrl: this.#control.url(),
      hostId: host.id,
      name: host.name,
      token,
      roles,
      ...(roles.includes('router')
        ? { router: { driver, address, port, ...(tlsPort === undefined ? {} : { tlsPort }) } }
        : {}),
      ...(tls?.ca === undefined ? {} : { ca: readFileSync(tls.ca, 'utf8') }),
    };
  }

  async #remove(host: HostRow, driver: CloudDriver): Promise<void> {
    this.#notBefore.set(host.id, Date.now() + 1000);
    if (host.cloud_id !== null) await driver.destroy(host.cloud_id);
    // A create whose answer was lost may have made another one, which the cloud shows only now.
    if (host.cloud_id === null ? host.attempts > 0 : host.attempts > 1)
      for (const found of await driver.findByToken(host.token)) await driver.destroy(found.id);
    const { store, builds, wake } = this.#control;
    const left = await store.transaction(async (trx) => {
      await trx.deleteFrom('keys').where('host_id', '=', host.id).execute();
      await trx.deleteFrom('hosts').where('id', '=', host.id).execute();
      return builds.leave(trx, host.id, `its host ${host.name} was removed`);
    });
    await this.#event(host, 'host.removed', `${host.name} was removed`);
    for (const build of left) wake.app(build.app_id);
    wake.routes();
    wake.hosts();
  }

  async #failed(host: HostRow, error: unknown): Promise<void> {
    const message = error instanceof Error ? error.message : String(error);
    const details = error instanceof PaasError ? error.details : {};
    const retry =
      typeof details['retryAfterMs'] === 'number'
        ? details['retryAfterMs']
        : Math.min(60_000, 1000 * 2 ** Math.min(host.attempts, 6));
    this.#notBefore.set(host.id, Date.now() + retry);
    this.#control.logger.error('a call to the cloud failed', error, { host: host.name });
    if (host.message === message) return;
    await this.#set(host, { message });
    await this.#event(host, 'host.error', `${host.name}: ${message}`);
  }

  /** Goes on to another state, unless somebody else (a hello, a person who removes it) was faster: then false. */
  async #become(state: string, host: HostRow, message: string | null = null): Promise<boolean> {
    const result = await this.#control.store.db
      .updateTable('hosts')
      .set({ state, message })
      .where('id', '=', host.id)
      .where('state', '=', host.state)
      .executeTakeFirst();
    return result.numUpdatedRows > 0n;
  }

  async #set(host: HostRow, change: Partial<HostRow>): Promise<void> {
    await this.#control.store.db.updateTable('hosts').set(change).where('id', '=', host.id).execute();
  }

  async #event(host: HostRow, kind: string, message: string, details: Record<string, unknown> = {}): Promise<void> {
    await this.#control.events.record({ kind, actor: 'platform', target: host.name, message, details });
  }
}

/** Resolves when all have ended, or after `ms`. */
async function ended(steps: readonly Promise<void>[], ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)));
  await Promise.race([Promise.all(steps), patience]);
  clearTimeout(timer);
}
