/** The driver against a service that behaves as SpeedyCloud's documents say where the embedded cloud differs. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { HttpRequest, HttpResponse } from '../../../src/clouds/http.ts';
import type { CloudDriver } from '../../../src/clouds/port.ts';
import { openCloud } from '../../../src/clouds/registry.ts';

interface FakeHost {
  id: number;
  name: string;
  status: string;
  tags: string;
  alias: string;
  bootscript: string;
  jobs: { id: number; name: string; status: string }[];
}

/** Provision takes neither tag nor alias; sizes come as numbers in the list and as text in the detail. */
class LiveLike {
  hosts: FakeHost[] = [];
  calls: string[] = [];
  /** Answers to give instead, by `METHOD path`. */
  refuse: Record<string, HttpResponse> = {};
  /** Called after each job poll. */
  tick: () => void = () => undefined;

  transport = (request: HttpRequest): Promise<HttpResponse> => {
    const path = new URL(request.url).pathname.replace('/api/v1/products', '').replace(/\/$/, '');
    const name = `${request.method} ${path}`;
    this.calls.push(name);
    const refused = this.refuse[name];
    if (refused) return Promise.resolve(refused);
    const body = this.answer(request.method, path, new URLSearchParams(request.body));
    return Promise.resolve(
      body === undefined
        ? { status: 404, headers: {}, body: '{"error":"not found"}' }
        : { status: 200, headers: { date: new Date(1000).toUTCString() }, body: JSON.stringify(body) },
    );
  };

  answer(method: string, path: string, form: URLSearchParams): unknown {
    if (path === '/cloud_servers')
      return this.hosts.map((host) => ({ ...this.show(host), memory: 2, bootscript: undefined }));
    if (path === '/cloud_servers/provision') {
      const id = this.hosts.length + 28;
      const bootscript = form.get('bootscript') ?? '';
      this.hosts.push({ id, name: `i-${id}`, status: 'Running', tags: '', alias: '', bootscript, jobs: [] });
      return { id };
    }
    if (path === '/images') return [{ name: 'Ubuntu 14.04' }];
    if (path === '/api/v1/availability_zones') return [{ name: 'SPC-BJ', support_isps: ['Private'] }];
    const [, , id, action] = path.split('/');
    const host = this.hosts.find((candidate) => String(candidate.id) === id);
    if (!host) return undefined;
    if (action === undefined) return { ...this.show(host), memory: '2048MB', cpu: '2' };
    if (action === 'jobs') {
      const jobs = structuredClone(host.jobs);
      this.tick();
      return jobs;
    }
    if (action === 'tag') host.tags = form.get('tag') ?? '';
    if (action === 'alias') host.alias = form.get('alias') ?? '';
    if (action === 'stop') host.jobs.push({ id: 1, name: 'stop', status: 'queue' });
    if (action === 'destroy') this.hosts = this.hosts.filter((other) => other !== host);
    return method === 'POST' ? { id: 1 } : undefined;
  }

  show({ jobs, ...host }: FakeHost) {
    return {
      ...host,
      ips: ['10.0.0.1'],
      has_running_job: jobs.some((job) => job.status === 'queue' || job.status === 'running'),
      created_at: '2015-04-02 02:45:18',
    };
  }
}

let cloud: LiveLike;
let driver: CloudDriver;
let now: number;
beforeEach(() => {
  cloud = new LiveLike();
  now = 0;
  const clock = { now: () => now, sleep: (ms: number) => Promise.resolve(void (now += ms)) };
  const config = { apiKey: 'key', zone: 'SPC-BJ', image: 'Ubuntu 14.04', jobTimeoutMs: 10_000 };
  driver = openCloud('speedycloud', config, { platform: 'plat', transport: cloud.transport, clock });
});

const asked = {
  token: 'int_7',
  name: 'h1',
  cpu: 1.5,
  memoryMb: 2048,
  userData: '#!/bin/sh\necho hi\n',
  tags: { role: 'compute' },
};

describe('creating', () => {
  it('tags the host by calls of its own where provision takes no tag', async () => {
    const host = await driver.create(asked);
    expect(host).toMatchObject({ id: '28', token: 'int_7' });
    expect(cloud.hosts[0]).toMatchObject({ tags: 'paas/plat/int_7,role=compute', alias: 'h1' });
    expect(await driver.findByToken('int_7')).toMatchObject([
      { id: '28', token: 'int_7', name: 'h1', state: 'running' },
    ]);
  });

  it('does not lose the host when it cannot be tagged', async () => {
    cloud.refuse['POST /cloud_servers/28/tag'] = { status: 400, headers: {}, body: '{"error":"tag is not valid"}' };
    const host = await driver.create(asked);
    expect(host).toMatchObject({ id: '28', warning: expect.stringContaining('tag is not valid') });
    expect(host.token).toBeUndefined();
  });

  it('finds a host whose creator died before it could tag it, by its boot script, and tags it', async () => {
    await driver.create(asked);
    Object.assign(cloud.hosts[0]!, { tags: '', alias: '' });
    expect(await driver.findByToken('int_8')).toEqual([]);
    expect(await driver.findByToken('int_7')).toMatchObject([{ id: '28', token: 'int_7' }]);
    expect(cloud.hosts[0]!.tags).toBe('paas/plat/int_7');
    expect(await driver.list()).toHaveLength(1);
  });

  it('never adds anything to user-data that is no script', async () => {
    await driver.create({ ...asked, userData: '{"a":1}' });
    expect(cloud.hosts[0]!.bootscript).toBe('{"a":1}');
  });

  it('says what an untagged host of somebody else is not: ours', async () => {
    cloud.hosts.push({ id: 5, name: 'i-5', status: 'Running', tags: 'mine', alias: 'db', bootscript: '', jobs: [] });
    expect(await driver.list()).toEqual([]);
    expect((await driver.check()).hosts).toBe(0);
  });
});

describe('destroying', () => {
  it('stops the host, waits for that job, and only then destroys it', async () => {
    await driver.create(asked);
    const host = cloud.hosts[0]!;
    let polls = 0;
    cloud.tick = () => {
      if (++polls < 3) return;
      host.jobs = [];
      host.status = 'Stopped';
    };
    await driver.destroy('28');
    expect(cloud.hosts).toEqual([]);
    const order = cloud.calls.filter((call) => /stop|destroy/.test(call));
    expect(order).toEqual(['POST /cloud_servers/28/stop', 'POST /cloud_servers/28/destroy']);
  });

  it('says what it waited for when the job does not end', async () => {
    await driver.create(asked);
    await expect(driver.destroy('28')).rejects.toMatchObject({
      code: 'timeout',
      message: 'waited 10 s for job stop of host 28',
    });
  });
});

describe('looking', () => {
  it('falls back to the zones of the provider’s SDK, and names what is not there', async () => {
    expect((await driver.check()).problems).toEqual([]);
    const config = { apiKey: 'key', zone: 'elsewhere', image: 'BeOS' };
    const other = openCloud('speedycloud', config, {
      platform: 'plat',
      transport: cloud.transport,
      clock: { now: () => 0, sleep: () => Promise.resolve() },
    });
    expect((await other.check()).problems).toEqual(['There is no image BeOS.', 'There is no zone elsewhere.']);
  });

  it('shows a host that is being stopped as stopping, in the list too', async () => {
    await driver.create(asked);
    await driver.stop('28');
    expect(await driver.get('28')).toMatchObject({
      state: 'stopping',
      rawState: 'Running',
      createdAt: expect.stringMatching(/Z$/),
    });
    expect(await driver.list()).toMatchObject([{ state: 'stopping' }]);
  });

  it('does not take an unreadable list for an empty one', async () => {
    cloud.refuse['GET /cloud_servers'] = { status: 200, headers: {}, body: '{"hosts":[]}' };
    await expect(driver.list()).rejects.toMatchObject({ code: 'cloud_failed' });
    await expect(driver.findByToken('int_7')).rejects.toMatchObject({ code: 'cloud_failed' });
  });
});
