/** What the embedded cloud does to processes: power, init system. Its API is in the driver's suite. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { signSpeedycloudHeader } from '../../src/clouds/signing/speedycloud.ts';
import { booted, call, request, started, stateOf, useEmbeddedClouds } from '../support/embedded-cloud.ts';
import { runs, waitFor } from '../support/local-cloud.ts';

useEmbeddedClouds();

describe('authentication', () => {
  it('refuses a wrong key, a wrong HMAC, and a date more than 15 minutes off, and says which', async () => {
    const cloud = await started();
    const minutes = (count: number) => new Date(Date.now() + count * 60_000);
    const list = async (headers: Record<string, string>) => {
      const answer = await call(cloud, 'GET', '/cloud_servers', headers);
      return { status: answer.status, text: answer.body, date: answer.headers['date'] };
    };
    const right = signSpeedycloudHeader(cloud.apiKey, new Date());
    expect(await list(right)).toMatchObject({ status: 200, text: '[]' });
    expect(await list({})).toMatchObject({ status: 401 });
    const wrongKey = await list(signSpeedycloudHeader('some-other-key-of-mine', new Date()));
    expect(wrongKey).toMatchObject({ status: 401, text: expect.stringContaining('API key') });
    const wrongHmac = await list({ ...right, 'api-hmac': '0'.repeat(40) });
    expect(wrongHmac).toMatchObject({ status: 401, text: expect.stringContaining('API-HMAC') });
    for (const off of [-16, 16]) {
      const skewed = await list(signSpeedycloudHeader(cloud.apiKey, minutes(off)));
      expect(skewed).toMatchObject({ status: 401, text: expect.stringContaining('15 minutes') });
      expect(Math.abs(Date.parse(skewed.date!) - Date.now())).toBeLessThan(60_000);
    }
    for (const off of [-14, 14]) {
      expect(await list(signSpeedycloudHeader(cloud.apiKey, minutes(off)))).toMatchObject({ status: 200 });
    }
  });

  it('is reached by a driver whose clock is an hour off: it signs again with the provider’s time', async () => {
    const cloud = await started();
    const clock = { now: () => Date.now() - 3_600_000, sleep: () => Promise.resolve() };
    const check = await cloud.driver({ clock }).check();
    expect(Math.round(check.clockOffsetMs / 60_000)).toBe(60);
    expect(check.problems).toEqual([expect.stringMatching(/clocks differ by 3[56]\d\d s/)]);
  });
});

describe('the hosts’ init system', () => {
  it('starts a killed agent again at once and leaves the instances alone', async () => {
    const cloud = await started();
    const { id, apps, agent } = await booted(cloud, { apps: 2 });
    process.kill(agent, 'SIGKILL');
    await waitFor(() => {
      expect(cloud.agentStarts(id)).toHaveLength(2);
      expect(runs(cloud.agentStarts(id)[1]!)).toBe(true);
    });
    expect(apps.every(runs)).toBe(true);
    expect([cloud.pidOf(id, 'web.1'), cloud.pidOf(id, 'web.2')]).toEqual(apps);
    expect(await stateOf(cloud.driver(), id)).toBe('running');
  });

  it('slows down for an agent that keeps dying, and can still power the host off', async () => {
    const cloud = await started();
    const driver = cloud.driver();
    const { id } = await driver.create(request({ crash: true }));
    await waitFor(() => expect(cloud.agentStarts(id).length).toBeGreaterThanOrEqual(3));
    await driver.destroy(id);
    await waitFor(async () => expect(await driver.get(id)).toBeNull());
    expect(readdirSync(join(cloud.data, 'hosts'))).toEqual([]);
  });

  it('gives agents an environment without the platform’s secrets, an address and a directory of their own', async () => {
    const cloud = await started([], { PAAS_KEY_SECRET: 'hush', NODE_EXTRA_CA_CERTS: '/etc/hosts', HTTPS_PROXY: 'p' });
    const [one, two] = [await booted(cloud), await booted(cloud)];
    const seen = [one, two].map(
      ({ id }) =>
        JSON.parse(cloud.read(id, 'seen.json')) as { values: Record<string, string>; env: Record<string, string> },
    );
    expect(seen[0]!.env).toMatchObject({ HTTPS_PROXY: 'p', PAAS_HOST_EXTRA_CA_CERTS: '/etc/hosts' });
    expect(Object.keys(seen[0]!.env).filter((name) => /^PAAS_(?!HOST_)|^NODE_EXTRA/.test(name))).toEqual([]);
    expect(seen[0]!.values).toMatchObject({ cpu: '2', memory: '4096' });
    const addresses = seen.map((agent) => agent.values['address']);
    expect(new Set(addresses).size).toBe(2);
    if (process.platform === 'linux') for (const address of addresses) expect(address).toMatch(/^127\.\d+\.\d+\.\d+$/);
    const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);
    expect(mode(cloud.hostDirectory(one.id))).toBe('711');
    expect(mode(join(cloud.hostDirectory(one.id), 'data'))).toBe('711');
    expect(mode(join(cloud.hostDirectory(one.id), 'user-data'))).toBe('600');
    for (const file of ['state.json', 'credentials.json', 'endpoint.json', 'cloud.log', 'cloud.lock']) {
      expect([file, mode(join(cloud.data, file))]).toEqual([file, '600']);
    }
  });
});

describe('power', () => {
  it('takes every process of the host with it when it is lost, and says so at once', async () => {
    const cloud = await started();
    const { id, apps, agent } = await booted(cloud, { apps: 2, daemon: true, ignoreTerm: true });
    const other = await booted(cloud);
    const answer = await call(cloud, 'POST', `/cloud_servers/${id}/kill`);
    expect([answer.status, (JSON.parse(answer.body) as { status: string }).status]).toEqual([200, 'Stopped']);
    expect([...apps, agent].filter(runs)).toEqual([]);
    expect(await stateOf(cloud.driver(), id)).toBe('stopped');
    expect([other.agent, ...other.apps].every(runs)).toBe(true);
    await cloud.driver().start(id);
    await waitFor(() => expect(runs(cloud.pidOf(id, 'web.1'))).toBe(true));
  });

  it('finds the instances of a host whose agent is dead already', async () => {
    const cloud = await started();
    const { id, apps, agent } = await booted(cloud, { apps: 1, daemon: true });
    await cloud.end('SIGKILL');
    process.kill(agent, 'SIGKILL');
    await waitFor(() => expect(runs(agent)).toBe(false));
    const state = cloud.state;
    state.hosts[0]!.status = 'Stopped'; // so that its next start does not boot the host first
    writeFileSync(join(cloud.data, 'state.json'), JSON.stringify(state));
    await cloud.start();
    await call(cloud, 'POST', `/cloud_servers/${id}/kill`);
    expect(apps.filter(runs)).toEqual([]);
  });

  it('goes off in good order: apps may end by themselves, and what ignores SIGTERM is killed after the grace', async () => {
    const powerOff = async (graceMs: number, ignoreTerm: boolean) => {
      const cloud = await started(['--grace-ms', String(graceMs)]);
      const { id, apps, agent } = await booted(cloud, { ignoreTerm });
      await cloud.driver().stop(id);
      await waitFor(async () => expect(await stateOf(cloud.driver(), id)).toBe('stopped'));
      expect([...apps, agent].filter(runs)).toEqual([]);
      expect(cloud.agentStarts(id)).toHaveLength(1);
      return () => cloud.read(id, 'instances/web.1/end');
    };
    expect((await powerOff(60_000, false))()).toBe('terminated\n');
    expect(await powerOff(500, true)).toThrow();
  });

  it('is suspended and resumed without a restart', async () => {
    const cloud = await started();
    const { id, apps, agent } = await booted(cloud);
    const frozen = () =>
      [...apps, agent].map((pid) => /^State:\s+(\w)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
    await call(cloud, 'POST', `/cloud_servers/${id}/suspend`);
    await waitFor(() => expect(frozen()).toEqual(['T', 'T']));
    expect(await cloud.driver().get(id)).toMatchObject({ state: 'stopped', rawState: 'Suspended' });
    await cloud.driver().start(id);
    await waitFor(() => expect(frozen()).not.toContain('T'));
    expect(cloud.agentStarts(id)).toEqual([agent]);
  });

  it('is refused to be destroyed while it is on; destroying removes the disk', async () => {
    const cloud = await started();
    const { id } = await booted(cloud);
    const directory = cloud.hostDirectory(id);
    expect((await call(cloud, 'POST', `/cloud_servers/${id}/destroy`)).status).toBe(409);
    await cloud.driver().destroy(id);
    await waitFor(async () => expect(await cloud.driver().get(id)).toBeNull());
    expect(existsSync(directory)).toBe(false);
  });
});
