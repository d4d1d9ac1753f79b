/** `paas down`: control plane first, so that nobody replaces the hosts that are powered off next; then cloud and hosts. */
import { existsSync, rmSync } from 'node:fs';
import { acquireLock } from '../../shared/lock-file.ts';
import { localHostsRun, removeLocalHosts, shutDownLocalCloud } from '../../localcloud/client.ts';
import { forgetPlatform } from '../client/index.ts';
import type { Progress } from '../ui/progress.ts';
import { readPlatformConfig } from './config.ts';
import { startCloud } from './cloud.ts';
import { knownHostRoot, platformFiles, type PlatformFiles } from './files.ts';
import { runningCloud, runningServer, stopProcess } from './processes.ts';

export interface DownOptions {
  home: string;
  env: NodeJS.ProcessEnv;
  purge: boolean;
  progress: Progress;
  timeoutMs: number;
  signal: AbortSignal;
}

export interface DownResult {
  /** What was stopped. */
  stopped: string[];
  purged: boolean;
}

/** @throws PaasError locked, timeout, cloud_failed */
export async function down(options: DownOptions): Promise<DownResult> {
  const { home, purge } = options;
  const files = platformFiles(home);
  if (!existsSync(files.root)) return { stopped: [], purged: false };
  const lock = acquireLock(files.lock, 'the platform of this machine');
  try {
    const stopped = await stop(files, options);
    if (purge) await remove(files, home);
    return { stopped, purged: purge };
  } finally {
    lock.release();
  }
}

async function stop(files: PlatformFiles, options: DownOptions): Promise<string[]> {
  const { progress, timeoutMs } = options;
  const stopped: string[] = [];
  const server = runningServer(files);
  if (server) {
    progress.at('Stopping the control plane');
    await stopProcess(server.process, 20_000);
    stopped.push('control plane');
  }
  if (!runningCloud(files)) {
    if (!hostsRun(files)) return stopped;
    // A cloud that was killed has left its hosts running; only a cloud knows how to power them off.
    await startCloud(files, options);
  }
  progress.at('Stopping the hosts with all apps');
  await shutDownLocalCloud(files.cloud, timeoutMs);
  return [...stopped, 'hosts', 'cloud'];
}

function hostsRun(files: PlatformFiles): boolean {
  const root = knownHostRoot(files);
  return root !== undefined && localHostsRun(files.cloud, root);
}

/** The data of platform and hosts. What else is in PAAS_HOME (caches, other platforms' keys) stays. */
async function remove(files: PlatformFiles, home: string): Promise<void> {
  const config = readPlatformConfig(files);
  if (config) forgetPlatform(home, `http://${config.listen.host}:${config.listen.port}`);
  const hosts = knownHostRoot(files);
  if (hosts !== undefined) await removeLocalHosts(hosts);
  rmSync(files.root, { recursive: true, force: true });
  for (const log of [files.serverLog, files.cloudLog])
    for (const path of [log, `${log}.1`]) rmSync(path, { force: true });
}
