/** Embedded clouds for one test file: built once, started as tests ask for them, removed after each. */
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { undiciTransport } from '../../src/clouds/http.ts';
import type { CloudDriver, CreateHost } from '../../src/clouds/port.ts';
import { signSpeedycloudHeader } from '../../src/clouds/signing/speedycloud.ts';
import { buildCloud, LocalCloud, runs, waitFor } from './local-cloud.ts';
import { requireOrSkip } from './skip.ts';

let program: Awaited<ReturnType<typeof buildCloud>>;
const clouds: LocalCloud[] = [];
export function useEmbeddedClouds(): void {
  beforeAll(async () => {
    program = await buildCloud();
  });
  afterAll(() => program.remove());
  beforeEach((context) =>
    requireOrSkip(context, process.platform === 'linux', 'processes are looked at through /proc'),
  );
  afterEach(async () => {
    for (const cloud of clouds.splice(0)) await cloud.remove();
  });
}

/** A cloud that is not started yet; it is removed after the test. */
export function prepared(flags: string[] = [], env: NodeJS.ProcessEnv = {}): LocalCloud {
  const cloud = new LocalCloud(program.path, flags, env);
  clouds.push(cloud);
  return cloud;
}

export async function started(flags: string[] = [], env: NodeJS.ProcessEnv = {}): Promise<LocalCloud> {
  const cloud = prepared(flags, env);
  await cloud.start();
  return cloud;
}

export const request = (userData: object, token = 'int_1'): CreateHost => ({
  token,
  name: 'h1',
  cpu: 2,
  memoryMb: 4096,
  userData: JSON.stringify(userData),
});

/** A running host, and the pids of its agent and apps. */
export async function booted(
  cloud: LocalCloud,
  userData: { apps?: number; daemon?: boolean; ignoreTerm?: boolean; router?: boolean } = {},
) {
  const { id } = await cloud.driver().create(request(userData, `int_${cloud.state.nextHost}`));
  const names = Array.from({ length: userData.apps ?? 1 }, (_, index) => `web.${index + 1}`);
  if (userData.daemon) names.push('daemon');
  const apps = await waitFor(() => {
    const pids = names.map((name) => cloud.pidOf(id, name));
    expect(pids.every((pid) => pid > 0 && runs(pid))).toBe(true);
    return pids;
  });
  return { id, apps, agent: cloud.agentStarts(id).at(-1)! };
}

export const call = (cloud: LocalCloud, method: 'GET' | 'POST', path: string, headers?: Record<string, string>) =>
  undiciTransport({
    method,
    url: `${cloud.url}/api/v1/products${path}`,
    headers: headers ?? signSpeedycloudHeader(cloud.apiKey, new Date()),
    timeoutMs: 20_000,
  });
export const stateOf = async (driver: CloudDriver, id: string) => (await driver.get(id))?.state;
