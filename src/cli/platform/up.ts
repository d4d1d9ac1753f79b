/**
 * `paas up`: brings the platform of this machine to life, starting only what does not run.
 *
 *   lock ► configuration ► embedded cloud ► control plane ► target ► router host
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { StatusResponse } from '../../shared/contracts/api.ts';
import { PaasError } from '../../shared/errors.ts';
import { acquireLock, type LockFile } from '../../shared/lock-file.ts';
import { ensureCredentials, type LocalCloudEndpoint } from '../../localcloud/client.ts';
import { Client, savePlatform } from '../client/index.ts';
import type { Progress } from '../ui/progress.ts';
import {
  configFor,
  portTaken,
  readPlatformConfig,
  writePlatformConfig,
  type PlatformConfig,
  type UpWish,
} from './config.ts';
import { startCloud } from './cloud.ts';
import { makeDirectories, platformFiles, program, type PlatformFiles } from './files.ts';
import { isPortFree } from './ports.ts';
import { logSize, runningCloud, runningServer, stopProcess, waitFor, type Wait } from './processes.ts';
import { programEnvironment, startAttached, startDetached, type Started } from './spawn.ts';

export interface UpOptions extends UpWish {
  home: string;
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
  progress: Progress;
  timeoutMs: number;
  foreground: boolean;
}

export interface UpResult {
  url: string;
  routerUrl: string;
  status: StatusResponse;
  /** What this call started. */
  started: string[];
  home: string;
  /** `--foreground`: ends with the control plane. */
  ended: Promise<number> | null;
  terminate: () => void;
}

/**
 * @throws PaasError conflict (ports, flags), locked, corrupt (a damaged file, named), timeout (says what it waited for),
 *   interrupted, host_failed (a program ended at once)
 */
export async function up(options: UpOptions): Promise<UpResult> {
  const files = platformFiles(options.home);
  makeDirectories(files);
  const lock = await lockFor(files, options);
  try {
    return await start(files, options);
  } finally {
    lock.release();
  }
}

/** Two at once: the second waits for the first, and then finds everything running. */
async function lockFor(files: PlatformFiles, { timeoutMs, progress, signal }: UpOptions): Promise<LockFile> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      return acquireLock(files.lock, 'the platform of this machine');
    } catch (error) {
      if (!(error instanceof PaasError) || error.code !== 'locked' || Date.now() > deadline || signal.aborted)
        throw error;
      progress.at('Waiting for another `paas up` or `paas down`');
      await sleep(100);
    }
  }
}

async function start(files: PlatformFiles, options: UpOptions): Promise<UpResult> {
  const { progress } = options;
  const started: string[] = [];
  const present = readPlatformConfig(files);
  const wanted = await configFor(present, files, options);
  const cloud = await ensureCloud(files, options, started);
  const config = { ...wanted, cloud: cloudConfig(files, cloud) };
  const running = runningServer(files);
  const isSame = JSON.stringify(config) === JSON.stringify(present);
  if (running && !isSame) {
    progress.at('Restarting the control plane with its new configuration');
    await stopProcess(running.process, 20_000);
  }
  if (!isSame) writePlatformConfig(files, config);
  const control = await ensureServer(files, config, options, started);
  const { id, secret } = config.adminKey;
  savePlatform(options.home, { url: control.url, keyId: id, keySecret: secret });
  const client = new Client({ url: control.url, keyId: id, keySecret: secret });
  try {
    const status = await waitForRouter(files, client, options);
    return {
      url: control.url,
      routerUrl: status.router.url ?? '',
      status,
      started,
      home: options.home,
      ended: control.ended,
      terminate: control.terminate,
    };
  } catch (error) {
    await control.end();
    throw error;
  } finally {
    client.close();
  }
}

async function ensureCloud(files: PlatformFiles, options: UpOptions, started: string[]): Promise<LocalCloudEndpoint> {
  const running = runningCloud(files);
  if (running) return running;
  started.push('cloud');
  return startCloud(files, options);
}

/** How the control plane reaches the embedded cloud: as any other SpeedyCloud account. */
function cloudConfig(files: PlatformFiles, cloud: LocalCloudEndpoint) {
  const { apiKey } = ensureCredentials(files.cloud);
  const place = { zone: 'local-1', image: 'paas-agent', isp: 'local' };
  return {
    name: 'local',
    driver: 'speedycloud',
    config: { endpoint: cloud.url, apiKey, authMode: 'header', ...place },
  };
}

async function ensureServer(
  files: PlatformFiles,
  config: PlatformConfig,
  options: UpOptions,
  started: string[],
): Promise<{ url: string; ended: Promise<number> | null; terminate: () => void; end: () => Promise<void> }> {
  const { progress, foreground } = options;
  const wait = { what: 'the control plane to answer', timeoutMs: 60_000 };
  const nothing = { ended: null, terminate: () => undefined, end: () => Promise.resolve() };
  const running = runningServer(files);
  if (running) {
    if (foreground) {
      throw new PaasError('conflict', `The control plane runs already (process ${running.process.pid}).`, {
        hint: '`paas down` first, or leave --foreground out.',
      });
    }
    const url = await waitFor(() => runningServer(files)?.endpoint?.url ?? null, {
      ...wait,
      ...waitOn(files.serverLog, logSize(files.serverLog), options),
    });
    return { url, ...nothing };
  }
  const { host, port } = config.listen;
  if (!(await isPortFree(host, port))) throw portTaken(port, '--port', 'the control plane');
  progress.at('Starting the control plane');
  const logFrom = logSize(files.serverLog);
  const what = {
    script: program('paas-server'),
    args: ['--config', files.config, ...(foreground ? [] : ['--log', files.serverLog])],
    cwd: files.root,
    env: programEnvironment(options.env),
  };
  const attached = foreground ? startAttached(what) : null;
  const server: Started = attached ?? startDetached(what, files.serverLog);
  started.push('control plane');
  // In the foreground, nobody would be left to stop it; and whoever waits for this program waits for that one.
  const end = async (): Promise<void> => {
    attached?.terminate();
    await attached?.ended;
  };
  try {
    const url = await waitFor(() => runningServer(files)?.endpoint?.url ?? null, {
      ...wait,
      ...waitOn(files.serverLog, logFrom, options, server),
    });
    return attached ? { url, ended: attached.ended, terminate: attached.terminate, end } : { url, ...nothing };
  } catch (error) {
    await end();
    throw error;
  }
}

/** Until a host with the router on it answers: the first one is created through the cloud. */
async function waitForRouter(files: PlatformFiles, client: Client, options: UpOptions): Promise<StatusResponse> {
  const { progress, timeoutMs } = options;
  let warnings: string[] = [];
  // After a power off, hosts that come back a moment later than the router are not worth a warning.
  const patientUntil = Date.now() + 15_000;
  const ask = async (): Promise<StatusResponse | null> => {
    const status = await client.request<StatusResponse>({ method: 'GET', path: '/v1/status', signal: options.signal });
    warnings = status.warnings;
    const { hosts, router } = status;
    if (router.url !== null && (hosts.ready === hosts.total || Date.now() > patientUntil)) return status;
    const why = warnings.find((warning) => warning.startsWith('the router does not run'));
    const present = hosts.total === 0 ? 'its host is being created' : `hosts: ${hosts.ready} of ${hosts.total} ready`;
    progress.at('Waiting for the router', `(${why ?? present})`);
    return null;
  };
  try {
    return await waitFor(ask, {
      what: 'the router to take requests',
      timeoutMs,
      ...waitOn(files.serverLog, logSize(files.serverLog), options),
    });
  } catch (error) {
    if (!(error instanceof PaasError) || error.code !== 'timeout' || warnings.length === 0) throw error;
    throw new PaasError('timeout', `${error.message}\n  ${warnings.join('\n  ')}`, {
      hint: error.hint,
      details: { ...error.details, warnings },
      cause: error,
    });
  }
}

function waitOn(
  log: string,
  logFrom: number,
  { signal }: UpOptions,
  started?: Started,
): Pick<Wait, 'log' | 'logFrom' | 'signal' | 'program'> {
  return { log, logFrom, signal, ...(started ? { program: started } : {}) };
}
