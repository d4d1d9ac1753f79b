import type { ServerResponse } from 'node:http';
import { expect, it } from 'vitest';
import type { Limits } from '../../../src/shared/contracts/routes.ts';
import {
  eventually,
  exchange,
  fetchText,
  freePort,
  httpServer,
  keepAliveAgent,
  rawClient,
} from '../../support/wire.ts';
import type { Bench } from '../router.suite.ts';
import { tableOf, type MakeRouter } from './support.ts';

/** Long enough for all that is waited for here. */
const queueMs = 50_000;
/** Apps of their own, so that no test finds another one's queue or buckets. */
let apps = 0;

export function limiting(bench: Bench, make: MakeRouter): void {
  /** An app that holds its answers until it is told to give the first of them. */
  async function holding() {
    const held: ServerResponse[] = [];
    const paths: string[] = [];
    const server = bench.cleanUp.add(
      await httpServer((request, response) => {
        paths.push(request.url ?? '');
        request.resume();
        held.push(response);
      }),
    );
    return { server, paths, held, answer: () => held.shift()!.end('answered') };
  }
  type Holding = Awaited<ReturnType<typeof holding>>;
  const key = (): string => `l${++apps}`;
  const serve = (name: string, limits: Limits, ...servers: Holding['server'][]) =>
    bench.serve({ [name]: { servers, settings: { limits } } });
  /** Resolves when no request of the app is under way: their ends are noted behind their answers. */
  const over = (name: string) =>
    expect.poll(async () => (await bench.made.router.observe()).open).not.toHaveProperty(`${name}-0`);
  const get = (name: string, path = '/', headers = {}) =>
    fetchText(`${bench.url}${path}`, { headers: { host: `${name}.test`, ...headers } });

  it('let a request wait while an instance has as many as it may, the first come first', async () => {
    const app = await holding();
    const name = key();
    await serve(name, { concurrency: 1, queue: 10, queueMs }, app.server);
    const asked: Promise<unknown>[] = [get(name, '/0')];
    await eventually('the first to arrive', () => app.paths.length === 1);
    // One after the other: /marker of another app tells that the router has read what was sent before.
    const clients = [1, 2, 3].map(() => rawClient(bench.port));
    for (const [index, client] of clients.entries()) {
      client.write(`GET /${index + 1} HTTP/1.1\r\nHost: ${name}.test\r\nConnection: close\r\n\r\n`);
      await fetchText(`${bench.url}/marker`, { headers: { host: 'nobody.test' } });
      asked.push(client.ended());
    }
    for (let i = 0; i < 4; i++) {
      await eventually(`/${i} to arrive`, () => app.paths.length === i + 1);
      if (!bench.lacks.includes('order')) expect(app.paths[i]).toBe(`/${i}`);
      app.answer();
    }
    expect([...app.paths].sort()).toEqual(['/0', '/1', '/2', '/3']);
    await Promise.all(asked);
    for (const client of clients) {
      expect(client.received).toContain('answered');
      client.socket.destroy();
    }
  });

  it('answer 503 at once where no more may wait', async () => {
    const app = await holding();
    const name = key();
    await serve(name, { concurrency: 1 }, app.server);
    const first = get(name);
    await eventually('the first to arrive', () => app.paths.length === 1);
    const second = await get(name);
    expect(second.status).toBe(503);
    expect(Number(second.headers['retry-after'])).toBeGreaterThan(0);
    app.answer();
    expect((await first).status).toBe(200);
    await over(name);
    const third = get(name);
    await eventually('the third to arrive', () => app.paths.length === 2);
    app.answer();
    expect((await third).status).toBe(200);
  });

  it('answer 503 to what waited too long', async () => {
    const app = await holding();
    const name = key();
    await serve(name, { concurrency: 1, queue: 5, queueMs: 100 }, app.server);
    const first = get(name);
    await eventually('the first to arrive', () => app.paths.length === 1);
    const second = await get(name);
    expect(second.status).toBe(503);
    expect(second.headers['retry-after']).toBeDefined();
    app.answer();
    expect((await first).status).toBe(200);
    expect(app.paths).toHaveLength(1);
  });

  it('serve what waits as soon as there is another instance', async () => {
    const [one, other] = [await holding(), await holding()];
    const name = key();
    await serve(name, { concurrency: 1, queue: 5, queueMs }, one.server);
    const both = [get(name, '/a')];
    await eventually('the first to arrive', () => one.paths.length === 1);
    both.push(get(name, '/b'));
    await fetchText(`${bench.url}/marker`, { headers: { host: 'nobody.test' } });
    await serve(name, { concurrency: 1, queue: 5, queueMs }, one.server, other.server);
    await eventually('the second to arrive', () => other.paths.length === 1);
    other.answer();
    one.answer();
    expect((await Promise.all(both)).map(({ status }) => status)).toEqual([200, 200]);
  });

  it('forget a client that goes away while it waits', async () => {
    const app = await holding();
    const name = key();
    await serve(name, { concurrency: 1, queue: 1, queueMs }, app.server);
    const first = get(name);
    await eventually('the first to arrive', () => app.paths.length === 1);
    // There is one place: who is sent away shows that the other one has it.
    const two = [rawClient(bench.port), rawClient(bench.port)];
    for (const client of two) client.write(`GET /impatient HTTP/1.1\r\nHost: ${name}.test\r\n\r\n`);
    await Promise.race(two.map((client) => client.until(/^HTTP\/1\.1 503 /)));
    expect(two.map(({ received }) => received !== '').sort()).toEqual([false, true]);
    for (const client of two) client.socket.destroy();
    const log = async () => (await bench.made.accessLog(`app_${name}.log`)).map(({ path, status }) => [path, status]);
    await expect.poll(log).toContainEqual(['/impatient', '499']);
    const last = get(name, '/last');
    await fetchText(`${bench.url}/marker`, { headers: { host: 'nobody.test' } });
    app.answer();
    await eventually('the last to arrive', () => app.paths.length === 2);
    app.answer();
    expect((await Promise.all([first, last])).map(({ status }) => status)).toEqual([200, 200]);
    expect(app.paths).toEqual(['/', '/last']);
  });

  it('count WebSockets as requests under way', async () => {
    const name = key();
    const server = bench.cleanUp.add(
      await httpServer(
        (_request, response) => response.end('ok'),
        (own) =>
          own.on('upgrade', (_request, socket) => {
            socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n');
            socket.on('end', () => socket.end());
          }),
      ),
    );
    await serve(name, { concurrency: 1 }, server);
    const client = rawClient(bench.port);
    client.write(`GET / HTTP/1.1\r\nHost: ${name}.test\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n`);
    await client.until(/ 101 /);
    expect((await get(name)).status).toBe(503);
    client.socket.end();
    await client.ended();
    await expect.poll(async () => (await get(name)).status).toBe(200);
    client.socket.destroy();
  });

  it('let each client ask so often, and no more', async () => {
    const name = key();
    const server = bench.cleanUp.add(await httpServer((_request, response) => response.end('ok')));
    await serve(name, { rate: { perSecond: 0.01, burst: 3 } }, server);
    const from = (address: string) => get(name, '/', { 'x-forwarded-for': address });
    const statuses: number[] = [];
    for (let i = 0; i < 4; i++) statuses.push((await from('198.51.100.1')).status);
    expect(statuses).toEqual([200, 200, 200, 429]);
    const refused = await from('198.51.100.1');
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(1);
    expect((await from('198.51.100.2')).status).toBe(200);
    // A table change gives nobody new tokens.
    await serve(name, { rate: { perSecond: 0.01, burst: 3 } }, server);
    expect((await from('198.51.100.1')).status).toBe(429);
  });

  it('refuse a body that is too long by what the client says of it', async () => {
    const app = await holding();
    const name = key();
    await serve(name, { maxBodyBytes: 10 }, app.server);
    const text = await exchange(
      bench.port,
      `POST / HTTP/1.1\r\nHost: ${name}.test\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n`,
    );
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
    expect(app.paths).toEqual([]);
    const fits = fetchText(bench.url, { method: 'POST', headers: { host: `${name}.test` }, body: '0123456789' });
    await eventually('what fits to arrive', () => app.paths.length === 1);
    app.answer();
    expect((await fits).status).toBe(200);
  });

  it('refuse a body of unknown length when it has become too long', async () => {
    const name = key();
    let whole = false;
    const server = bench.cleanUp.add(
      await httpServer((request, response) => {
        request.resume().on('end', () => {
          whole = true;
          response.end('ok');
        });
        request.on('error', () => undefined);
      }),
    );
    await serve(name, { maxBodyBytes: 10 }, server);
    const head = `POST / HTTP/1.1\r\nHost: ${name}.test\r\nTransfer-Encoding: chunked\r\n\r\n`;
    const client = rawClient(bench.port);
    client.write(`${head}8\r\n01234567\r\n`);
    client.write('8\r\n01234567\r\n');
    expect(await client.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 413 /);
    client.socket.destroy();
    expect(whole).toBe(false);
    expect((await get(name)).status).toBe(200);
  });

  it('give an app its own time to answer', async () => {
    // A router that has 500 ms for all others.
    const made = await make({ responseTimeoutMs: 500 });
    bench.cleanUp.add({ close: () => made.dispose() });
    const [slow, never] = [await holding(), await holding()];
    const { url } = await made.router.apply(
      tableOf({
        patient: { servers: [slow.server], settings: { limits: { responseMs: 50_000 } } },
        quick: { servers: [never.server] },
      }),
    );
    const from = (app: string) => fetchText(url, { headers: { host: `${app}.test` } });
    const late = from('patient');
    await eventually('the patient one to arrive', () => slow.paths.length === 1);
    expect((await from('quick')).status).toBe(504);
    slow.answer();
    expect((await late).status).toBe(200);
  });

  it('are never exceeded, however many come at once, and room is used', async () => {
    let most = 0;
    const servers = await Promise.all(
      [0, 1].map(async () => {
        let open = 0;
        return bench.cleanUp.add(
          await httpServer((_request, response) => {
            most = Math.max(most, ++open);
            setImmediate(() => {
              open--;
              response.end('ok');
            });
          }),
        );
      }),
    );
    const name = key();
    await serve(name, { concurrency: 1, queue: 50, queueMs }, ...servers);
    const agents = Array.from({ length: 12 }, () => keepAliveAgent(1));
    const statuses = await Promise.all(
      agents.map(async (agent) => {
        const answered: number[] = [];
        for (let i = 0; i < 25; i++) {
          answered.push((await fetchText(bench.url, { agent, headers: { host: `${name}.test` } })).status);
        }
        return answered;
      }),
    );
    for (const agent of agents) agent.destroy();
    expect(new Set(statuses.flat())).toEqual(new Set([200]));
    expect(most).toBe(1);
    await expect.poll(async () => (await bench.made.router.observe()).open).toEqual({});
  });

  it('hold for the instance too that a refused request goes to instead', async () => {
    const app = await holding();
    const name = key();
    await serve(name, { concurrency: 1 }, app.server);
    const first = get(name);
    await eventually('the first to arrive', () => app.paths.length === 1);
    const nobody = { port: await freePort(), close: () => Promise.resolve() } as Holding['server'];
    await serve(name, { concurrency: 1 }, app.server, nobody);
    const second = await get(name);
    expect(second.status).toBe(503);
    app.answer();
    expect((await first).status).toBe(200);
    expect(app.paths).toHaveLength(1);
  });
}
