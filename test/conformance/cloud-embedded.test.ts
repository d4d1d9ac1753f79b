/** What the embedded cloud does to processes: power, init system, its own death. Its API is in the driver's suite. */
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { undiciTransport, TransportError, type Transport } from '../../src/clouds/http.ts';
import type { CloudDriver, CreateHost } from '../../src/clouds/port.ts';
import { signSpeedycloudHeader } from '../../src/clouds/signing/speedycloud.ts';
import { buildCloud, LocalCloud, runs, waitFor } from '../support/local-cloud.ts';
import { requireOrSkip } from '../support/skip.ts';

let program: Awaited<ReturnType<typeof buildCloud>>;
const clouds: LocalCloud[] = [];
beforeAll(async () => {
  program = await buildCloud();
});
afterAll(() => program.remove());
beforeEach((context) => requireOrSkip(context, process.platform === 'linux', 'processes are looked at through /proc'));
afterEach(async () => {
  for (const cloud of clouds.splice(0)) await cloud.remove();
});

async function started(flags: string[] = [], env: NodeJS.ProcessEnv = {}): Promise<LocalCloud> {
  const cloud = new LocalCloud(program.path, flags, env);
  clouds.push(cloud);
  await cloud.start();
  return cloud;
}

const request = (userData: object, token = 'int_1'): CreateHost => ({
  token,
  name: 'h1',
  cpu: 2,
  memoryMb: 4096,
  userData: JSON.stringify(userData),
});

/** A running host, and the pids of its agent and apps. */
async function booted(
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

const call = (cloud: LocalCloud, method: 'GET' | 'POST', path: string, headers?: Record<string, string>) =>
  undiciTransport({
    method,
    url: `${cloud.url}/api/v1/products${path}`,
    headers: headers ?? signSpeedycloudHeader(cloud.apiKey, new Date()),
    timeoutMs: 20_000,
  });
const stateOf = async (driver: CloudDriver, id: string) => (await driver.get(id))?.state;

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
    const cloud = await started();
    const polite = await booted(cloud);
    const deaf = await booted(cloud, { ignoreTerm: true });
    const driver = cloud.driver();
    await Promise.all([driver.stop(polite.id), driver.stop(deaf.id)]);
    for (const { id } of [polite, deaf]) {
      await waitFor(async () => expect(await stateOf(driver, id)).toBe('stopped'));
    }
    expect([...polite.apps, ...deaf.apps, polite.agent, deaf.agent].filter(runs)).toEqual([]);
    expect(cloud.read(polite.id, 'instances/web.1/end')).toBe('terminated\n');
    expect(cloud.agentStarts(polite.id)).toHaveLength(1);
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

describe('the death of the cloud', () => {
  it('touches no host, and the next one takes them over', async () => {
    const cloud = await started();
    const { id, apps, agent } = await booted(cloud);
    const url = cloud.url;
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      await cloud.end(signal);
      expect([agent, ...apps].every(runs)).toBe(true);
      await cloud.start();
      expect(cloud.url).toBe(url);
      expect(await stateOf(cloud.driver(), id)).toBe('running');
      expect(cloud.agentStarts(id)).toEqual([agent]);
    }
    process.kill(agent, 'SIGKILL');
    await waitFor(() => expect(cloud.agentStarts(id)).toHaveLength(2));
    expect(apps.every(runs)).toBe(true);
  });

  it('takes over an agent whose pid was never written down', async () => {
    const cloud = await started();
    const { id, agent: first } = await booted(cloud, { router: true });
    process.kill(first, 'SIGKILL');
    const agent = await waitFor(() => {
      expect(cloud.state.hosts[0]!.agent?.pid).not.toBe(first);
      expect(cloud.agentStarts(id)).toHaveLength(2);
      return cloud.agentStarts(id)[1]!;
    });
    await cloud.end('SIGKILL');
    const state = cloud.state;
    state.hosts[0]!.agent = null;
    writeFileSync(join(cloud.data, 'state.json'), JSON.stringify(state));
    await cloud.start();
    await waitFor(() => expect(cloud.state.hosts[0]!.agent?.pid).toBe(agent));
    expect(cloud.agentStarts(id)).toEqual([first, agent]);
    const router = Number(cloud.read(id, 'router.pid'));
    expect(runs(router)).toBe(true);
    await call(cloud, 'POST', `/cloud_servers/${id}/kill`);
    expect(runs(router)).toBe(false);
  });

  it('together with all hosts is mended by its next start', async () => {
    const cloud = await started();
    const hosts = [await booted(cloud), await booted(cloud)];
    await cloud.end('SIGKILL');
    for (const { agent, apps } of hosts) [agent, ...apps].forEach((pid) => process.kill(pid, 'SIGKILL'));
    await cloud.start();
    for (const { id, apps } of hosts) {
      await waitFor(() => {
        expect(cloud.agentStarts(id)).toHaveLength(2);
        expect(runs(cloud.pidOf(id, 'web.1'))).toBe(true);
        expect(cloud.pidOf(id, 'web.1')).not.toBe(apps[0]);
      });
    }
  });

  it('between provision and its answer leaves one host, found by its token', async () => {
    const cloud = await started();
    const dying: Transport = async (sent) => {
      const answer = await undiciTransport(sent);
      if (!sent.url.endsWith('/provision')) return answer;
      await cloud.end('SIGKILL');
      throw new TransportError('the connection broke', true);
    };
    const asked = request({}, 'int_broken');
    await expect(cloud.driver({ transport: dying }).create(asked)).rejects.toMatchObject({ code: 'cloud_ambiguous' });
    await cloud.start();
    const found = await cloud.driver().findByToken(asked.token);
    expect(found).toHaveLength(1);
    await waitFor(async () => expect(await stateOf(cloud.driver(), found[0]!.id)).toBe('running'));
    await waitFor(() => expect(cloud.agentStarts(found[0]!.id)).toHaveLength(1));
  });

  it('during a boot or a power off is made up for by its next start', async () => {
    const cloud = await started(['--boot-delay-ms', '500']);
    const { id } = await cloud.driver().create(request({ ignoreTerm: true }));
    expect(await cloud.driver().get(id)).toMatchObject({ state: 'pending', rawState: 'Provisioning' });
    await cloud.end('SIGKILL');
    await cloud.start();
    const app = await waitFor(() => {
      const pid = cloud.pidOf(id, 'web.1');
      expect(pid > 0 && runs(pid)).toBe(true);
      return pid;
    });
    await waitFor(async () => expect(await stateOf(cloud.driver(), id)).toBe('running'));
    await cloud.driver().stop(id);
    expect(await stateOf(cloud.driver(), id)).toBe('stopping');
    await cloud.end('SIGKILL');
    await cloud.start();
    await waitFor(async () => expect(await stateOf(cloud.driver(), id)).toBe('stopped'));
    expect(runs(app)).toBe(false);
  });

  it('when it is shut down powers all hosts off, and its next start boots them', async () => {
    const cloud = await started();
    const hosts = [await booted(cloud), await booted(cloud)];
    await cloud.shutDown();
    await waitFor(() => expect(() => cloud.url).toThrow());
    for (const { id, apps, agent } of hosts) {
      expect([agent, ...apps].filter(runs)).toEqual([]);
      expect(cloud.read(id, 'instances/web.1/end')).toBe('terminated\n');
    }
    await cloud.shutDown(); // nothing runs: nothing to do
    await cloud.start();
    for (const { id } of hosts) {
      await waitFor(() => expect(runs(cloud.pidOf(id, 'web.1'))).toBe(true));
      expect(await stateOf(cloud.driver(), id)).toBe('running');
    }
  });
});

describe('limits and damage', () => {
  it('refuses more hosts than its quota', async () => {
    const cloud = await started(['--max-hosts', '1']);
    await cloud.driver().create(request({}, 'int_1'));
    await expect(cloud.driver().create(request({}, 'int_2'))).rejects.toMatchObject({ code: 'cloud_quota' });
    expect(await cloud.driver().findByToken('int_2')).toEqual([]);
  });

  it('runs once on a directory', async () => {
    const cloud = await started();
    const second = new LocalCloud(program.path, ['--data', cloud.data]);
    clouds.push(second);
    await expect(second.start()).rejects.toThrow(`is in use by process ${cloud.pid}`);
    expect(await cloud.driver().list()).toEqual([]);
  });

  it('refuses a damaged or newer state by name, and leaves it as it is', async () => {
    const cloud = await started();
    await booted(cloud);
    await cloud.end('SIGTERM');
    const path = join(cloud.data, 'state.json');
    const whole = readFileSync(path, 'utf8');
    for (const bad of ['', whole.slice(0, whole.length / 2), '{"version":1}', '{"version":99}']) {
      writeFileSync(path, bad);
      await expect(cloud.start()).rejects.toThrow(path);
      expect(readFileSync(path, 'utf8')).toBe(bad);
    }
    writeFileSync(path, whole);
  });

  it('refuses a taken port, an open credentials file and an address that others reach', async () => {
    const cloud = await started();
    const with_ = (...flags: string[]) => {
      const other = new LocalCloud(program.path, flags);
      clouds.push(other);
      return other.start();
    };
    await expect(with_('--listen', new URL(cloud.url).host)).rejects.toThrow('is taken');
    await expect(with_('--listen', '0.0.0.0:0')).rejects.toThrow('loopback');
    await expect(with_('--agent', '/nonexistent')).rejects.toThrow('cannot be read');
    await expect(with_('--colour', 'blue')).rejects.toThrow('--colour');
    await cloud.end('SIGTERM');
    chmodSync(join(cloud.data, 'credentials.json'), 0o644);
    await expect(cloud.start()).rejects.toThrow('can be read by other users');
  });

  it('answers nonsense with an error, and goes on', async () => {
    const cloud = await started();
    const post = (path: string, body: string, type: string) =>
      undiciTransport({
        method: 'POST',
        url: `${cloud.url}/api/v1/products${path}`,
        headers: { ...signSpeedycloudHeader(cloud.apiKey, new Date()), 'content-type': type },
        body,
        timeoutMs: 5_000,
      });
    const form = 'application/x-www-form-urlencoded';
    const nonsense: [string, string, string, number][] = [
      ['/cloud_servers/provision', 'az=nowhere', form, 400],
      ['/cloud_servers/provision', 'az=local-1&isp=x&image=paas-agent&cpu=-1&memory=x&disk=1&bandwidth=1', form, 400],
      ['/cloud_servers/provision', '{"az":', 'application/json', 400],
      ['/cloud_servers/provision', 'x'.repeat(2_000_000), form, 413],
      ['/cloud_servers/0/stop', '', form, 404],
      ['/cloud_servers/99999999999999999/stop', '', form, 404],
      ['/cloud_servers/../../x', '', form, 404],
      ['//', '', form, 404],
    ];
    for (const [path, body, type, status] of nonsense) {
      const answer = await post(path, body, type);
      expect([path, answer.status]).toEqual([path, status]);
      expect(JSON.parse(answer.body)).toEqual({ error: expect.any(String) });
    }
    expect(await cloud.driver().list()).toEqual([]);
  });
});
