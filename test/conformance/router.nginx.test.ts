import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { nginxFiles } from '../../src/router/nginx/layout.ts';
import { reload } from '../../src/router/nginx/master.ts';
import { runProgram, spawnDetached } from '../../src/agent/steps/detached.ts';
import type { RouterConfig } from '../../src/router/port.ts';
import { createRouter } from '../../src/router/registry.ts';
import { readAccessLine } from '../../src/shared/access-line.ts';
import { processIdentity, sendSignal } from '../../src/shared/processes.ts';
import { isLeaving, killNginx, nginxProcesses, settledNginx } from '../support/nginx-processes.ts';
import { eventually, fetchText, freePort, httpServer, rawClient, tcpServer } from '../support/wire.ts';
import { routerConformance } from './router.suite.ts';
import { CleanUp, tableOf, type MakeOptions, type RouterUnderTest } from './router/support.ts';

function configured(options: MakeOptions, directory: string): RouterConfig {
  const { port = 0, ...rest } = options;
  return { directory, address: '127.0.0.1', port, program: [], spawnDetached, run: runProgram, ...rest };
}

const masterOf = (directory: string): number => Number(readFileSync(join(directory, 'nginx.pid'), 'utf8'));

async function make(options: MakeOptions = {}): Promise<RouterUnderTest & { directory: string }> {
  const directory = mkdtempSync(join(tmpdir(), 'paas-nginx-'));
  const router = createRouter('nginx', configured(options, directory));
  const made = {
    router,
    directory,
    processes: () => nginxProcesses(directory),
    restart: async () => {
      const master = masterOf(directory);
      const before = nginxProcesses(directory).filter((pid) => pid !== master);
      await reload(nginxFiles(directory), master);
      const serves = (pid: number): boolean => processIdentity(pid) !== null && !isLeaving(pid);
      await eventually('the workers of before to leave', () => !before.some(serves));
    },
    kill: () => killNginx(directory),
    accessLog: (file: string) => {
      const path = join(router.accessLogs, file);
      const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
      // The last one may still be under way.
      const lines = text.split('\n').slice(0, -1);
      return Promise.resolve(lines.map(readAccessLine));
    },
    dispose: async () => {
      await made.kill();
      // What the driver does in the background may be on its way to nginx, and start another one.
      await router.stop();
      await made.kill();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  try {
    await router.start();
  } catch (error) {
    await made.dispose();
    throw error;
  }
  return made;
}

routerConformance('nginx', make, [
  'trailers',
  'interim',
  'lines',
  'framing',
  'early',
  'duplex',
  'h2c',
  'order',
  'handover',
  'failover',
]);

describe('nginx as a router', () => {
  const cleanUp = new CleanUp();
  afterEach(() => cleanUp.run());
  const running = async () => {
    const made = await make();
    cleanUp.add({ close: () => made.dispose() });
    return made;
  };
  const app = async (text: string) => cleanUp.add(await httpServer((_request, response) => response.end(text)));
  const get = (url: string, host: string) => fetchText(url, { headers: { host } });

  it('keeps its files to itself', async () => {
    const { directory, router } = await running();
    await router.apply(tableOf({}));
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    for (const name of ['admin.sock', 'table.txt', 'running.json', 'router.out', 'nginx.conf'])
      expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
  });

  it('takes a table without a reload', async () => {
    const { router, directory } = await running();
    const before = await settledNginx(directory);
    for (let i = 0; i < 5; i++) await router.apply(tableOf({ [`k${i}`]: { servers: [await app('x')] } }));
    expect(await settledNginx(directory)).toEqual(before);
  });

  it('takes other instances of a TCP route without a reload, and leaves its connections alone', async () => {
    const { router, directory } = await running();
    const named = async (name: string) =>
      cleanUp.add(
        await tcpServer((socket) => {
          socket.on('data', (data) => socket.write(`${name}:${data.toString()}`)).on('end', () => socket.end());
        }),
      );
    const [one, other] = [await named('one'), await named('other')];
    const port = await freePort();
    const route = { routes: [], tcp: [port] };
    await router.apply(tableOf({ t: { servers: [one], ...route } }));
    // Those of before that route are gone.
    const before = await settledNginx(directory);
    const first = rawClient(port);
    first.write('a');
    await first.until(/one:a/);
    await router.apply(tableOf({ u: { servers: [other], ...route } }));
    const second = rawClient(port);
    second.write('b');
    await second.until(/other:b/);
    first.write('c');
    await first.until(/one:c/);
    expect((await router.observe()).open).toEqual({ 't-0': 1, 'u-0': 1 });
    await router.apply(tableOf({ u: { servers: [one, other], ...route } }));
    // The next ones go where fewest are open: both have one, then two.
    const more = [rawClient(port), rawClient(port)];
    for (const client of more) {
      client.write('d');
      await client.until(/:d/);
    }
    expect((await router.observe()).open).toMatchObject({ 'u-0': 2, 'u-1': 2 });
    expect(await settledNginx(directory)).toEqual(before);
    for (const client of [first, second, ...more]) client.socket.destroy();
    await expect.poll(async () => (await router.observe()).open).toEqual({});
  });

  it('is taken up by a new agent with what it has open', async () => {
    const { directory, router } = await running();
    let release: (() => void) | undefined;
    const slow = cleanUp.add(await httpServer((_request, response) => (release = () => response.end('whole'))));
    const { url } = await router.apply(tableOf({ k: { servers: [slow] } }));
    const open = get(url, 'k.test');
    await expect.poll(() => release !== undefined).toBe(true);
    const next = createRouter('nginx', configured({}, directory));
    expect((await next.start()).open).toEqual({ 'k-0': 1 });
    expect((await next.apply(tableOf({ n: { servers: [await app('n')] } }))).open).toEqual({ 'k-0': 1 });
    expect((await get(url, 'n.test')).body).toBe('n');
    release!();
    expect((await open).body).toBe('whole');
    await expect.poll(async () => (await next.observe()).open).toEqual({});
  });

  it('ends the workers that a killed master left, and serves the same table on the same port', async () => {
    const { directory, router, ...made } = await running();
    const { url } = await router.apply(tableOf({ k: { servers: [await app('kept')] } }));
    const left = made.processes().filter((pid) => pid !== masterOf(directory));
    sendSignal(masterOf(directory), 'SIGKILL');
    await expect
      .poll(() =>
        router.observe().then(
          () => 'answers',
          () => 'away',
        ),
      )
      .toBe('away');
    expect((await router.start()).url).toBe(url);
    expect((await get(url, 'k.test')).body).toBe('kept');
    await expect.poll(() => made.processes().filter((pid) => left.includes(pid))).toEqual([]);
  });

  it('forgets what a worker had open that was killed', async () => {
    const { directory, router, ...made } = await running();
    const never = cleanUp.add(await httpServer(() => undefined));
    const { url } = await router.apply(tableOf({ k: { servers: [never] } }));
    const lost = get(url, 'k.test').catch(() => 'lost');
    await expect.poll(async () => (await router.observe()).open).toEqual({ 'k-0': 1 });
    for (const pid of made.processes()) if (pid !== masterOf(directory)) sendSignal(pid, 'SIGKILL');
    expect(await lost).toBe('lost');
    await expect
      .poll(() =>
        router.observe().then(
          ({ open }) => open,
          () => null,
        ),
      )
      .toEqual({});
  });

  it('says that the saved table is damaged, and takes another', async () => {
    const made = await running();
    await made.router.apply(tableOf({}));
    await made.kill();
    truncateSync(join(made.directory, 'table.txt'), 10);
    const next = createRouter('nginx', configured({}, made.directory));
    expect(await next.start()).toMatchObject({ version: 0, problems: [expect.stringContaining('damaged')] });
    expect((await next.apply(tableOf({}))).problems).toEqual([]);
  });

  it("puts an app's own configuration around its requests, and leaves out what nginx refuses", async () => {
    const { router } = await running();
    const table = tableOf({ own: { servers: [await app('own')] }, bad: { servers: [await app('bad')] } });
    table.backends.own!.nginx = 'add_header X-Own "yes";\nproxy_set_header X-Team shop;';
    table.backends.bad!.nginx = 'add_header;';
    const { url, problems } = await router.apply(table);
    expect(problems).toEqual([expect.stringMatching(/default\/dev\/bad is left out: line 1: .*add_header/)]);
    const answer = await get(url, 'own.test');
    expect(answer).toMatchObject({ status: 200, body: 'own' });
    expect(answer.headers['x-own']).toBe('yes');
    expect((await get(url, 'bad.test')).body).toBe('bad');
    const without = await router.apply(tableOf({ own: { servers: [await app('plain')] } }));
    expect(without.problems).toEqual([]);
    expect((await get(url, 'own.test')).headers['x-own']).toBeUndefined();
  });

  it("holds an app's own configuration and its limit of bodies at once", async () => {
    const { router, directory } = await running();
    const server = cleanUp.add(
      await httpServer((request, response) => void request.resume().on('end', () => response.end('whole'))),
    );
    const table = tableOf({ own: { servers: [server], settings: { limits: { maxBodyBytes: 1024 * 1024 } } } });
    const { port } = new URL((await router.apply(table)).url);
    const chunked = async (size: number): Promise<string> => {
      const client = rawClient(Number(port));
      client.write('POST / HTTP/1.1\r\nHost: own.test\r\nTransfer-Encoding: chunked\r\n\r\n');
      client.write(`${size.toString(16)}\r\n${'x'.repeat(size)}\r\n0\r\n\r\n`);
      const head = await client.until(/\r\n\r\n/);
      client.socket.destroy();
      return head;
    };
    expect(await chunked(1024 * 1024)).toMatch(/^HTTP\/1\.1 200 /);
    expect(await chunked(1024 * 1024 + 1)).toMatch(/^HTTP\/1\.1 413 /);
    const before = await settledNginx(directory);
    table.backends.own!.limits = { maxBodyBytes: 2 * 1024 * 1024 };
    await router.apply({ ...table, version: table.version + 1 });
    expect(await chunked(1024 * 1024 + 1)).toMatch(/^HTTP\/1\.1 200 /);
    expect(await settledNginx(directory)).toEqual(before);
    table.backends.own!.nginx = 'add_header X-Own "yes";';
    await router.apply({ ...table, version: table.version + 2 });
    expect(await chunked(1024 * 1024)).toMatch(/^HTTP\/1\.1 200 [^]*X-Own: yes/);
    expect(await chunked(2 * 1024 * 1024 + 1)).toMatch(/^HTTP\/1\.1 413 /);
    table.backends.own!.nginx = 'client_max_body_size 3m;';
    expect((await router.apply({ ...table, version: table.version + 3 })).problems).toEqual([]);
  });

  it("holds the limit of bodies of an app's own configuration, whether a request says its length or not", async () => {
    const { router } = await running();
    const server = cleanUp.add(
      await httpServer((request, response) => void request.resume().on('end', () => response.end('whole'))),
    );
    const table = tableOf({ own: { servers: [server] } });
    table.backends.own!.nginx = 'client_max_body_size 1k;';
    const { url } = await router.apply(table);
    const post = async (size: number, headers: Record<string, string> = {}) =>
      (await fetchText(url, { method: 'POST', headers: { host: 'own.test', ...headers }, body: 'x'.repeat(size) }))
        .status;
    const chunked = { 'transfer-encoding': 'chunked' };
    expect(await Promise.all([post(1024), post(1024, chunked)])).toEqual([200, 200]);
    expect(await Promise.all([post(1025), post(1025, chunked)])).toEqual([413, 413]);
  });

  it("says what is wrong with an app's own configuration, by line", async () => {
    const { router } = await running();
    expect(await router.checkSnippet!('proxy_read_timeout 5m;\ngzip on;')).toEqual([]);
    expect(await router.checkSnippet!('gzip on;\n\nclient_max_body_size many;')).toEqual([
      { line: 3, message: expect.stringContaining('client_max_body_size') as string },
    ]);
  });
});
