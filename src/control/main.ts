/** paas-server: the composition root of the control plane. */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { AgentsEngine } from '../engines/agents/engine.ts';
import { boundedLog } from '../shared/bounded-log.ts';
import { asPaasError, errorTable } from '../shared/errors.ts';
import { writeDurably } from '../shared/files.ts';
import { processIdentity } from '../shared/processes.ts';
import { Serial } from '../shared/serial.ts';
import { version } from '../shared/version.ts';
import { createStacks } from '../stacks/registry.ts';
import { createHandlers } from './agents/handlers.ts';
import { Hub } from './agents/hub.ts';
import { RouterChecks } from './agents/router-checks.ts';
import { allEndpoints } from './api/endpoints.ts';
import { StoredKeys } from './api/keys.ts';
import { createApi } from './api/server.ts';
import { openPackStore } from './blobs/packs.ts';
import { Builds } from './builds/builds.ts';
import { Clouds } from './clouds.ts';
import { readConfig, settingsOf, type ServerConfig } from './config.ts';
import type { Control } from './context.ts';
import { openData } from './data.ts';
import { placeOnce } from './deploy/once.ts';
import { Events } from './events/events.ts';
import { createLogger, type Logger } from './logger.ts';
import { openSegmentLogStore } from './logs/segments.ts';
import { splitLogs } from './logs/split.ts';
import { HostReconciler } from './reconcile/hosts.ts';
import { Loops } from './reconcile/loops.ts';
import { diskWarnings } from './reconcile/maintenance.ts';
import { Routing } from './reconcile/routing.ts';
import { Sessions } from './sessions/sessions.ts';
import { recoverIdempotent } from './store/idempotency.ts';
import { SqlInstances } from './store/instances.ts';
import { CanaryWindows } from './traffic/windows.ts';
import { Traffic } from './traffic/traffic.ts';
import { StoredNonces } from './store/nonces.ts';
import { acceptUpgrades } from './upgrade.ts';

/** Access lines are worth less than output, and there are more of them. */
const accessLogLimits = { retention: { appBytes: 64 << 20, totalBytes: 512 << 20 }, segmentBytes: 4 << 20 };

/** Runs until SIGTERM or SIGINT; resolves with the exit status. Logs JSON lines to standard error. */
export async function main(argv: string[], _env: NodeJS.ProcessEnv): Promise<number> {
  const write = (line: string): void => void process.stderr.write(line);
  let logger = createLogger(write);
  try {
    const text = { type: 'string' } as const;
    const { values } = parseArgs({ args: argv, options: { config: text, log: text, version: { type: 'boolean' } } });
    // `--log`: the file that standard error goes to.
    if (values.log !== undefined) logger = createLogger(boundedLog(values.log, write));
    if (values.version === true) {
      process.stdout.write(`${version}\n`);
      return 0;
    }
    if (values.config === undefined) {
      logger.error('usage: paas-server --config FILE [--log FILE]');
      return errorTable.usage.exit;
    }
    const server = await startServer(readConfig(values.config), logger);
    await new Promise<void>((resolve) => {
      process.once('SIGTERM', () => resolve());
      process.once('SIGINT', () => resolve());
    });
    logger.info('stopping');
    await server.stop();
    return 0;
  } catch (thrown) {
    const error = asPaasError(thrown);
    logger.error(error.message, thrown, { code: error.code, hint: error.hint });
    return error.exit;
  }
}

export interface RunningServer {
  url: string;
  stop(): Promise<void>;
}

/** Starts a control plane on its data directory, which only one process may have open. */
export async function startServer(config: ServerConfig, logger: Logger): Promise<RunningServer> {
  const settings = settingsOf(config);
  const { dataDir } = settings;
  const { lock, store, sealer, platform, serverId } = await openData(settings);
  const nonces = new StoredNonces(store);
  const keys = new StoredKeys(store, sealer);
  await recoverIdempotent(store);
  await keys.put({ ...config.adminKey, principal: 'key:local-admin', role: 'owner' });
  const events = new Events(store);
  const blobs = await openPackStore(join(dataDir, 'blobs'));
  const notice = (message: string): void => logger.warn(message);
  const logs = splitLogs(
    await openSegmentLogStore({ root: join(dataDir, 'logs'), notice }),
    await openSegmentLogStore({ root: join(dataDir, 'router-logs'), notice, ...accessLogLimits }),
  );
  const hub = new Hub(logger);
  const clouds = new Clouds(store, sealer, platform);
  const loops = new Loops(() => control, nonces);
  const instances = new SqlInstances(store, {
    changed: (hosts, waiting) => {
      for (const host of hosts) loops.assign(host);
      if (waiting) loops.wake.hosts();
      loops.wake.routes();
    },
  });
  const traffic = new Traffic();
  const placing = new Serial();
  let url = settings.publicUrl ?? '';
  const control: Control = {
    settings,
    serverId,
    startedAt: Date.now(),
    url: () => url,
    store,
    events,
    sealer,
    blobs,
    logs,
    hub,
    clouds,
    logger,
    wake: loops.wake,
    usage: new Map(),
    disks: new Map(),
    traffic,
    canaries: new CanaryWindows(traffic),
    engine: new AgentsEngine(instances, placing),
    placing,
    routing: new Routing({ store, hub, sealer, drainMs: settings.timing.drain, regions: settings.router.regions }),
    builds: new Builds(() => control),
    routerChecks: new RouterChecks(hub),
    stacks: createStacks((name) => readFile(join(settings.assets, name), 'utf8')),
    sessions: new Sessions(hub, logger),
    get hosts() {
      return hosts;
    },
    placeOnce: (row) => placeOnce(control, row),
    diskWarnings: () => diskWarnings(dataDir),
    assign: (host) => loops.assign(host),
    say: (app, instance, text) => {
      logs
        .appendPlatformLine(app, { instance, text })
        .catch((error: unknown) => logger.error('a platform line was lost', error, { app }));
    },
  };
  const hosts = new HostReconciler(control);
  await control.routing.load();
  hub.handle(createHandlers(control));
  await seed(control, config);
  const tls = settings.tls ? { cert: readFileSync(settings.tls.cert), key: readFileSync(settings.tls.key) } : null;
  const deps = { control, keys, nonces, tls };
  const api = createApi({ ...deps, endpoints: allEndpoints(keys) });
  acceptUpgrades(api.server, control, deps);
  await api.listen(settings.listen);
  const { port } = api.server.address() as AddressInfo;
  if (url === '') url = `${tls ? 'https' : 'http'}://${settings.listen.host}:${port}`;
  await loops.start();
  const identity = processIdentity(process.pid);
  writeDurably(join(dataDir, 'endpoint.json'), JSON.stringify({ url, version, ...identity }));
  logger.info('ready', { url, version });
  return {
    url,
    stop: async () => {
      await loops.stop();
      await hub.close();
      await api.close();
      await logs.close();
      await blobs.close();
      await store.close();
      lock.release();
    },
  };
}

/** The cloud of the configuration and the one cluster on it. */
async function seed(control: Control, config: ServerConfig): Promise<void> {
  const { cloud } = config;
  if (!cloud) return;
  await control.clouds.put(cloud.name, cloud.driver, cloud.config);
  await control.store.db
    .insertInto('clusters')
    .values({ name: 'main', cloud: cloud.name, engine: 'agents', settings: '{}', created_at: Date.now() })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}
