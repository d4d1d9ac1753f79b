/** A platform whose router is nginx: what users and operators see of it, from a push to the end. */
import { existsSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AppDetail, GrayView, RolloutView, StatusResponse } from '../../src/shared/contracts/api.ts';
import { startPlatform, type Platform } from '../support/platform.ts';
import { killNow } from '../support/platform/processes.ts';
import { requireOrSkip } from '../support/skip.ts';

const modules = ['ngx_http_lua_module.so', 'ngx_stream_js_module.so'].map((name) => `/usr/lib/nginx/modules/${name}`);
const isHere = ['/usr/sbin/nginx', ...modules].every((path) => existsSync(path));

let paas: Platform;
let cwd: string;
beforeAll(async () => {
  if (!isHere) return;
  paas = await startPlatform({ flags: ['--router', 'nginx'] });
  // Not those of the other platforms that are tested at the same time.
  await paas.configure({ cluster: { tcpPorts: { from: 21_000, to: 21_999 } } });
  cwd = paas.source('probe');
});
beforeEach((context) => requireOrSkip(context, isHere, 'nginx with its Lua and njs modules'));
afterAll(async () => {
  if (isHere) await paas.remove();
});

const get = async (headers: Record<string, string> = {}): Promise<string> =>
  (await paas.get('shop', '/', { headers })).text;
const status = () => paas.json<StatusResponse>(['status']);

/** POST bodies over connections that are kept, which the app sends back. */
function echoing(): { count(): number; stop(): Promise<{ failures: string[] }> } {
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  const failures: string[] = [];
  let count = 0;
  let stopped = false;
  const body = 'x'.repeat(20_000);
  const one = (): Promise<string> =>
    new Promise((resolve) => {
      const headers = { host: 'shop.localhost' };
      const outgoing = request({ port: paas.routerPort, method: 'POST', agent, headers }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.once('end', () => resolve(text === body ? '' : `${response.statusCode} ${text.slice(0, 100)}`));
        response.once('error', (error) => resolve(String(error)));
      });
      outgoing.once('error', (error) => resolve(String(error))).end(body);
    });
  const workers = Array.from({ length: 4 }, async () => {
    while (!stopped) {
      const failure = await one();
      count++;
      if (failure !== '') failures.push(failure);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });
  return {
    count: () => count,
    stop: async () => {
      stopped = true;
      await Promise.all(workers);
      agent.destroy();
      return { failures };
    },
  };
}

/** A line sent to a TCP port, and the one that comes back. */
function sayTo(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.once('data', (data: Buffer) => {
      resolve(data.toString());
      socket.end();
    });
    socket.once('error', reject).once('close', () => reject(new Error('closed without an answer')));
  });
}

describe('paas up --router nginx', () => {
  it('serves a push, scales it, and rolls over to the next without a failed request', async () => {
    await paas.ok(['push', 'shop', '-m', '100M'], { cwd });
    expect((await status()).router).toMatchObject({ driver: 'nginx' });
    expect(await get()).toBe('version 1');
    const [load, posts] = [paas.load('shop'), echoing()];
    await paas.ok(['scale', 'web=2', '-a', 'shop']);
    writeFileSync(join(cwd, 'VERSION'), '2');
    await paas.ok(['push', 'shop'], { cwd });
    expect(await get()).toBe('version 2');
    await paas.ok(['scale', 'web=1', '-a', 'shop']);
    await paas.settled('shop', { web: 1 });
    await paas.waitFor('20 requests of each kind', () => Math.min(load.count, posts.count()) > 20);
    const [gets, echoed] = [await load.stop(), await posts.stop()];
    expect([...gets.failures, ...echoed.failures]).toEqual([]);
  });

  it('shares out by a canary and by rules, and takes both back', async () => {
    const load = paas.load('shop');
    writeFileSync(join(cwd, 'VERSION'), '3');
    await paas.ok(['push', 'shop', '--strategy', 'canary', '--steps', '50', '--manual', '--no-wait'], { cwd });
    await paas.waitFor('the step to be reached', async () => {
      const { rollout: view } = await paas.json<{ rollout: RolloutView | null }>(['rollout', 'status', '-a', 'shop']);
      return view?.canary?.percent === 50 && view.canary.reachedAt !== null;
    });
    // The router is told of the step after it was reached.
    await paas.waitFor('both versions to be served', async () => {
      const clients = Array.from({ length: 40 }, (_, n) => get({ 'x-forwarded-for': `198.51.100.${n}` }));
      return [...new Set(await Promise.all(clients))].sort().join() === 'version 2,version 3';
    });
    await paas.ok(['rollout', 'cancel', '-a', 'shop']);
    await paas.waitFor('all to be as before', async () => {
      return (await paas.ps('shop')).every(({ release }) => release === 2);
    });
    await paas.ok(['gray', 'add', 'shop', '--to', 'v1', '--match', 'header:X-Team=qa']);
    await paas.waitFor('the team to be served', async () => (await get({ 'x-team': 'qa' })) === 'version 1');
    expect(await get()).toBe('version 2');
    const [rule] = (await paas.json<GrayView>(['gray', 'shop'])).rules;
    await paas.ok(['gray', 'remove', 'shop', rule!.id]);
    await paas.waitFor('all to be stable', async () => (await get({ 'x-team': 'qa' })) === 'version 2');
    expect((await load.stop()).failures).toEqual([]);
  });

  it('shows a page in maintenance', async () => {
    await paas.ok(['maintenance', 'on', 'shop']);
    expect(await paas.get('shop')).toMatchObject({ status: 503 });
    await paas.ok(['maintenance', 'off', 'shop']);
    expect(await get()).toBe('version 2');
  });

  it('has requests in the logs and in the figures of the app', async () => {
    const requestId = `seen-${Date.now()}`;
    await get({ 'x-request-id': requestId });
    const { line } = await paas.waitFor('the request in the logs', async () => {
      return (await paas.logs('shop', '--source', 'router')).find(({ line }) => line.includes(requestId));
    });
    expect(line).toMatch(/method=GET host=shop\.localhost path=\/ status=200 .*release=2/);
    await Promise.all(Array.from({ length: 21 }, () => get()));
    const figures = await paas.waitFor('the figures', async () => {
      const { traffic } = await paas.json<AppDetail>(['app', 'shop']);
      return traffic.releases.find(({ release, requests }) => release === 2 && requests > 20);
    });
    expect(figures.p50).toBeGreaterThanOrEqual(0);
  });

  it('speaks TLS and HTTP/2 once there is a certificate', async () => {
    await paas.ok(['certs', 'add', 'shop.localhost', '--self-signed']);
    const url = await paas.waitFor('the router to listen for TLS', async () => (await status()).router.tlsUrl);
    const client = connectHttp2(`https://127.0.0.1:${new URL(url).port}`, {
      servername: 'shop.localhost',
      rejectUnauthorized: false,
    });
    const answer = await new Promise<string>((resolve, reject) => {
      const stream = client.request({ ':path': '/', ':authority': 'shop.localhost' });
      let text = '';
      stream.setEncoding('utf8').on('data', (part: string) => (text += part));
      stream.once('end', () => resolve(text)).once('error', reject);
      client.once('error', reject);
    });
    client.close();
    expect([client.alpnProtocol, answer]).toEqual(['h2', 'version 2']);
  });

  it("takes an app's own configuration, and refuses a bad one by line", async () => {
    const files = paas.directory({
      'good.conf': 'add_header X-Own "yes" always;\n',
      'bad.conf': 'gzip on;\nadd_header;\n',
      'far.conf': '\n\nproxy_pass http://10.0.0.1;\n',
    });
    await paas.ok(['routes', 'nginx', 'shop', '--file', join(files, 'good.conf')]);
    expect((await paas.get('shop')).headers['x-own']).toBe('yes');
    const bad = await paas.cli(['routes', 'nginx', 'shop', '--file', join(files, 'bad.conf')]);
    expect([bad.code, bad.stderr]).toEqual([3, expect.stringMatching(/line 2: .*add_header/)]);
    const far = await paas.cli(['routes', 'nginx', 'shop', '--file', join(files, 'far.conf')]);
    expect([far.code, far.stderr]).toEqual([3, expect.stringMatching(/line 3: .*proxy_pass/)]);
    expect(await paas.get('shop')).toMatchObject({ status: 200, headers: { 'x-own': 'yes' } });
  });

  it('gives a service a TCP port, and its next instances without a restart of nginx', async () => {
    const server = `require('net').createServer((s) => s.on('data', (d) => s.write(process.env.SAYS + ':' + d)).on('error', () => {})).listen(process.env.PORT);`;
    const yaml =
      'name: wire\nprocesses: { tcp: { type: service, command: node s.js, memory: 64M } }\nconfig: { SAYS: one }\n';
    const source = paas.directory({ 's.js': server, 'paas.yml': yaml, 'package.json': '{"name":"wire"}' });
    await paas.ok(['push'], { cwd: source });
    const { ports } = await paas.json<AppDetail>(['app', 'wire']);
    const port = ports['tcp'] ?? 0;
    expect(await sayTo(port, 'hi')).toBe('one:hi');
    // Those of before the port was there end when their last connection does.
    const serving = () =>
      paas
        .processes()
        .others.filter(({ command }) => /^nginx: worker process(?! is shutting down)/.test(command))
        .map(({ pid }) => pid);
    const workers = await paas.waitFor('the workers of before to be on their way out', () => {
      const now = serving();
      return now.length === availableParallelism() && now;
    });
    await paas.ok(['config', 'set', 'SAYS=two', '-a', 'wire']);
    await paas.waitFor('the next instance to answer', async () => (await sayTo(port, 'hi')) === 'two:hi');
    expect(serving()).toEqual(workers);
  });

  it('serves again when its master or its agent was killed, with everything that it knew', async () => {
    const master = paas.pid('routers');
    await killNow([master]);
    await paas.waitFor('another master', () => paas.processes().routers.some(({ pid }) => pid !== master));
    expect(await paas.serves('shop', 'version 2')).toMatchObject({ headers: { 'x-own': 'yes' } });
    const load = paas.load('shop');
    const agents = paas.processes().agents.map(({ pid }) => pid);
    await killNow(agents);
    await paas.waitFor('all hosts to be ready', async () => {
      const { hosts } = await status();
      return hosts.ready === hosts.total && paas.processes().agents.length === agents.length;
    });
    expect((await load.stop()).failures).toEqual([]);
  });

  it('is the same behind down and up, and leaves nothing running', async () => {
    await paas.ok(['down', '--yes']);
    expect(paas.processes().routers).toEqual([]);
    expect(paas.processes().others.filter(({ command }) => command.startsWith('nginx'))).toEqual([]);
    await paas.up();
    expect(await paas.serves('shop', 'version 2')).toMatchObject({ headers: { 'x-own': 'yes' } });
    const other = await paas.cli(['up', '--router', 'embedded']);
    expect([other.code, other.stderr]).toEqual([6, expect.stringMatching(/made with the router nginx/)]);
  });
});
