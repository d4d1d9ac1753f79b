/**
 * A control plane without network: real store, blobs, logs, placement and reconcilers; agents and the cloud are played
 * by the test. Nothing runs by itself: tests call the reconcilers.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AgentsEngine } from '../../src/engines/agents/engine.ts';
import { Serial } from '../../src/shared/serial.ts';
import type { ControlMessage, HostFacts } from '../../src/shared/contracts/agent.ts';
import type { Hub } from '../../src/control/agents/hub.ts';
import { RouterChecks } from '../../src/control/agents/router-checks.ts';
import { openPackStore } from '../../src/control/blobs/packs.ts';
import { Builds } from '../../src/control/builds/builds.ts';
import type { Clouds } from '../../src/control/clouds.ts';
import type { Control } from '../../src/control/context.ts';
import { placeOnce } from '../../src/control/deploy/once.ts';
import { Events } from '../../src/control/events/events.ts';
import { openSegmentLogStore } from '../../src/control/logs/segments.ts';
import { AppReconciler } from '../../src/control/reconcile/app.ts';
import { HostReconciler } from '../../src/control/reconcile/hosts.ts';
import { Routing } from '../../src/control/reconcile/routing.ts';
import { Sealer } from '../../src/control/secrets.ts';
import { Sessions } from '../../src/control/sessions/sessions.ts';
import { defaultAcme, defaultCluster, defaultTiming, type Settings } from '../../src/control/settings.ts';
import { Traffic } from '../../src/control/traffic/traffic.ts';
import { CanaryWindows } from '../../src/control/traffic/windows.ts';
import { SqlInstances } from '../../src/control/store/instances.ts';
import { openStore } from '../../src/control/store/open.ts';
import { createStacks } from '../../src/stacks/registry.ts';
import { FakeCloud } from './fake-cloud.ts';
import { hostRow } from './rows.ts';

/** The hub as tests see it: who is connected, and what was sent to whom. */
export class FakeHub {
  readonly links = new Set<string>();
  readonly sent: { host: string; message: ControlMessage }[] = [];
  connected(host: string): boolean {
    return this.links.has(host);
  }
  lastSeen(host: string): number | null {
    return this.links.has(host) ? Date.now() : null;
  }
  send(host: string, message: ControlMessage): boolean {
    if (!this.links.has(host)) return false;
    this.sent.push({ host, message });
    return true;
  }
  drop(host: string): void {
    this.links.delete(host);
  }
  /** What was sent since the last call. */
  take(): { host: string; message: ControlMessage }[] {
    return this.sent.splice(0);
  }
}

export interface TestControl extends Control {
  /** The same objects as `hub` and `clouds`, with what tests want of them. */
  fakeHub: FakeHub;
  cloud: FakeCloud;
  /** Keys that were woken since the start, in order: `app:ID`, `hosts`, `routes`, `waiting`, `assign:HOST`. */
  woken: string[];
  reconcileApp: (appId: string) => Promise<void>;
  /** Errors that the parts have logged. */
  errors: unknown[];
  close: () => Promise<void>;
}

export const facts = (change: Partial<HostFacts> = {}): HostFacts => ({
  ...{ agentVersion: '1', bootId: 'boot', os: 'linux', arch: 'x64', cpu: 2, memoryMb: 4096 },
  ...{ tools: { node: '20.20.0', npm: '10.0.0' }, runtimes: ['process'], notices: [], address: '127.0.0.1' },
  bases: [{ name: 'host', digest: 'b'.repeat(64) }],
  disk: { totalMb: 10_000, freeMb: 5000 },
  ...change,
});

export async function makeControl(
  change: { settings?: Partial<Settings>; startedAt?: number } = {},
): Promise<TestControl> {
  const dataDir = mkdtempSync(join(tmpdir(), 'paas-control-'));
  const store = await openStore(join(dataDir, 'paas.db'));
  const errors: unknown[] = [];
  const logger: Control['logger'] = {
    info: () => undefined,
    warn: () => undefined,
    error: (message, error) => void errors.push(error ?? message),
  };
  const settings: Settings = {
    ...{ dataDir, databaseUrl: null, listen: { host: '127.0.0.1', port: 0 }, tls: null, publicUrl: null },
    ...{ domain: 'localhost', router: { driver: 'embedded', address: '127.0.0.1', port: 8080 } },
    ...{ acme: defaultAcme, cluster: defaultCluster, cloud: null, assets: dataDir, timing: defaultTiming },
    ...change.settings,
  };
  const fakeHub = new FakeHub();
  const hub = fakeHub as unknown as Hub;
  const cloud = new FakeCloud();
  const clouds = { driver: () => Promise.resolve(cloud), describe: () => Promise.resolve({}) } as unknown as Clouds;
  const woken: string[] = [];
  const logs = await openSegmentLogStore({ root: join(dataDir, 'logs'), notice: () => undefined });
  const traffic = new Traffic();
  const placing = new Serial();
  const instances = new SqlInstances(store, {
    changed: (hosts) => {
      for (const host of hosts) control.assign(host);
      control.wake.routes();
    },
  });
  const lines: Promise<unknown>[] = [];
  const sealer = new Sealer(Buffer.alloc(32, 7));
  const control: TestControl = {
    ...{ settings, serverId: 'srv_test', startedAt: change.startedAt ?? Date.now() - 3600_000 },
    ...{ store, logger, hub, clouds, fakeHub, cloud, woken, errors, logs, placing, usage: new Map(), disks: new Map() },
    ...{ traffic, canaries: new CanaryWindows(traffic) },
    url: () => 'http://127.0.0.1:7070',
    events: new Events(store),
    sealer,
    blobs: await openPackStore(join(dataDir, 'blobs')),
    engine: new AgentsEngine(instances, placing),
    routing: new Routing({ store, hub, sealer, drainMs: settings.timing.drain }),
    builds: new Builds(() => control),
    routerChecks: new RouterChecks(hub),
    stacks: createStacks(() => Promise.resolve('// the static server\n')),
    sessions: new Sessions(hub, logger),
    get hosts() {
      return hosts;
    },
    wake: {
      app: (id) => void woken.push(`app:${id}`),
      hosts: () => void woken.push('hosts'),
      routes: () => void woken.push('routes'),
      waiting: () => void woken.push('waiting'),
    },
    placeOnce: (row) => placeOnce(control, row),
    diskWarnings: () => Promise.resolve([]),
    assign: (host) => void woken.push(`assign:${host}`),
    say: (app, instance, text) => void lines.push(logs.appendPlatformLine(app, { instance, text })),
    reconcileApp: (appId) => new AppReconciler(control).reconcile(appId),
    close: async () => {
      await Promise.allSettled(lines);
      await logs.close();
      await control.blobs.close();
      await store.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
  const hosts = new HostReconciler(control);
  await store.db
    .insertInto('clusters')
    .values({ name: 'main', cloud: 'test', engine: 'agents', settings: '{}', created_at: 0 })
    .execute();
  return control;
}

/** A ready compute host whose agent is connected. */
export async function addHost(
  control: TestControl,
  id: string,
  change: Parameters<typeof hostRow>[1] = {},
): Promise<void> {
  await control.store.db
    .insertInto('hosts')
    .values(hostRow(id, { facts: JSON.stringify(facts()), created_at: Date.now(), ...change }))
    .execute();
  control.fakeHub.links.add(id);
}

/** A ready router host; `acknowledge` is its word that it has the present table, with nothing open. */
export async function addRouter(
  control: TestControl,
  id = 'r',
): Promise<{ acknowledge: (open?: Record<string, number>) => void }> {
  await addHost(control, id, { roles: '["router"]' });
  return {
    acknowledge: (open = {}) => {
      const { version } = control.routing.table;
      control.routing.report(id, { version, url: 'http://127.0.0.1:8080', driver: 'embedded', open, problems: [] });
    },
  };
}

/** What comes only when the routers have a change: their loop and they themselves are at work meanwhile. */
export async function whileRouting<T>(
  { routing }: TestControl,
  { acknowledge }: Awaited<ReturnType<typeof addRouter>>,
  coming: Promise<T>,
): Promise<T> {
  let done = false;
  const answer = coming.finally(() => (done = true));
  while (!done) {
    await routing.reconcile();
    acknowledge();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return answer;
}
