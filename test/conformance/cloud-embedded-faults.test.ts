/** The embedded cloud's own death, and what it refuses. */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { TransportError, undiciTransport, type Transport } from '../../src/clouds/http.ts';
import { signSpeedycloudHeader } from '../../src/clouds/signing/speedycloud.ts';
import { booted, call, prepared, request, started, stateOf, useEmbeddedClouds } from '../support/embedded-cloud.ts';
import { runs, waitFor } from '../support/local-cloud.ts';

useEmbeddedClouds();

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
    const router = await waitFor(() => {
      const pid = Number(cloud.read(id, 'router.pid'));
      expect(pid > 0 && runs(pid)).toBe(true);
      return pid;
    });
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
    const cloud = prepared();
    await cloud.start(['--boot-delay-ms', '60000']);
    const { id } = await cloud.driver().create(request({ ignoreTerm: true }));
    expect(await cloud.driver().get(id)).toMatchObject({ state: 'pending', rawState: 'Provisioning' });
    await cloud.end('SIGKILL');
    await cloud.start(['--grace-ms', '60000']);
    const app = await waitFor(() => {
      const pid = cloud.pidOf(id, 'web.1');
      expect(pid > 0 && runs(pid)).toBe(true);
      return pid;
    });
    await waitFor(async () => expect(await stateOf(cloud.driver(), id)).toBe('running'));
    await cloud.driver().stop(id);
    expect(await stateOf(cloud.driver(), id)).toBe('stopping');
    await cloud.end('SIGKILL');
    await cloud.start(['--grace-ms', '500']);
    await waitFor(async () => expect(await stateOf(cloud.driver(), id)).toBe('stopped'));
    expect(runs(app)).toBe(false);
  });

  it('when it is shut down powers all hosts off, and its next start boots them', async () => {
    const cloud = await started();
    const hosts = [await booted(cloud), await booted(cloud)];
    await cloud.shutDown();
    expect(() => cloud.url).toThrow();
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
    const second = prepared(['--data', cloud.data]);
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
      const other = prepared(flags);
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
        timeoutMs: 20_000,
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
