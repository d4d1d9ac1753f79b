/** For who starts and stops the embedded cloud: its files, and the one call that is not the driver's. */
import { existsSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { signSpeedycloudHeader } from '../clouds/signing/speedycloud.ts';
import { PaasError } from '../shared/errors.ts';
import { readJsonFile, writeDurably } from '../shared/files.ts';
import { newSecret } from '../shared/ids.ts';
import { lockHolder } from '../shared/lock-file.ts';
import { hostProcesses } from './host-processes.ts';
import { removeTree } from './remove-tree.ts';
import { openState } from './state.ts';

export const credentialsFile = z.object({ apiKey: z.string().check(z.minLength(16)) });
const endpointFile = z.object({ url: z.string(), pid: z.int(), version: z.string() });
export type LocalCloudEndpoint = z.infer<typeof endpointFile>;

/** The cloud's API key, made at the first call. The directory must exist. */
export function ensureCredentials(dataDir: string): { apiKey: string } {
  const path = join(dataDir, 'credentials.json');
  const found = readJsonFile(path, credentialsFile);
  if (found) return found;
  const made = { apiKey: newSecret() };
  writeDurably(path, JSON.stringify(made));
  return made;
}

/** Where the cloud of a data directory listens; undefined when none runs (a file left by `kill -9` does not count). */
export function localCloudEndpoint(dataDir: string): LocalCloudEndpoint | undefined {
  const holder = lockHolder(join(dataDir, 'cloud.lock'));
  const endpoint = holder && readJsonFile(join(dataDir, 'endpoint.json'), endpointFile);
  return endpoint && endpoint.pid === holder.pid ? endpoint : undefined;
}

/**
 * Powers all hosts off in good order and ends the cloud. Does nothing when none runs.
 * @throws PaasError timeout, cloud_failed
 */
export async function shutDownLocalCloud(dataDir: string, timeoutMs = 60_000): Promise<void> {
  const endpoint = localCloudEndpoint(dataDir);
  if (!endpoint) return;
  const { apiKey } = ensureCredentials(dataDir);
  await new Promise<void>((resolve, reject) => {
    const call = request(`${endpoint.url}/api/v1/products/platform/shutdown`, {
      method: 'POST',
      headers: { ...signSpeedycloudHeader(apiKey, new Date()), connection: 'close' },
      timeout: timeoutMs,
    });
    call.once('timeout', () =>
      call.destroy(
        new PaasError('timeout', `waited ${timeoutMs / 1000} s for the embedded cloud to power its hosts off`),
      ),
    );
    call.once('error', reject);
    call.once('response', (response) => {
      response.resume();
      if (response.statusCode === 200) response.once('end', resolve);
      else
        reject(new PaasError('cloud_failed', `the embedded cloud refused to shut down: HTTP ${response.statusCode}`));
    });
    call.end();
  });
}

/** Reads what the cloud remembers, changing nothing. @throws PaasError corrupt, conflict (a later version's) */
export function checkLocalCloudState(dataDir: string): void {
  openState(dataDir, () => undefined);
}

/** Whether anything of its hosts runs, which is so too after the cloud itself was killed. */
export function localHostsRun(dataDir: string, hostRoot: string): boolean {
  if (!existsSync(join(dataDir, 'state.json'))) return false;
  const { hosts } = openState(dataDir, () => undefined).record;
  return hosts.some(({ name, mark, agent }) => {
    return hostProcesses({ mark, agent, directory: join(hostRoot, name) }).length > 0;
  });
}

/** Removes all data of all hosts, whatever permissions apps have set in it. Nothing of them may run. */
export function removeLocalHosts(hostRoot: string): Promise<void> {
  return removeTree(hostRoot);
}
