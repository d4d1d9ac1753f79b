import { expect, it } from 'vitest';
import { fetchText, freePort, httpServer, rawClient, tcpServer } from '../../support/wire.ts';
import type { Bench } from '../router.suite.ts';
import { tableOf } from './support.ts';

export function routing(bench: Bench): void {
  const named = async (name: string) =>
    bench.cleanUp.add(await httpServer((request, response) => response.end(`${name} ${request.url ?? ''}`)));
  const get = async (host: string, path = '/') => (await fetchText(`${bench.url}${path}`, { headers: { host } })).body;

  it('routes by host, whatever its case, port and final dot', async () => {
    await bench.serve({ a: { servers: [await named('a')] }, b: { servers: [await named('b')] } });
    expect(await get('a.test')).toBe('a /');
    expect(await get('B.Test:8080')).toBe('b /');
    expect(await get('b.test.')).toBe('b /');
  });

  it('prefers the longest path prefix at a segment border and passes the path on whole', async () => {
    await bench.serve({
      root: { servers: [await named('root')], routes: ['x.test'] },
      api: { servers: [await named('api')], routes: ['x.test/api'] },
      v2: { servers: [await named('v2')], routes: ['x.test/api/v2'] },
    });
    expect(await get('x.test', '/api/v2/users?q=1')).toBe('v2 /api/v2/users?q=1');
    expect(await get('x.test', '/api/v2')).toBe('v2 /api/v2');
    expect(await get('x.test', '/api/v22')).toBe('api /api/v22');
    expect(await get('x.test', '/apix')).toBe('root /apix');
    expect(await get('x.test', '/api?x=/api/v2')).toBe('api /api?x=/api/v2');
  });

  it('prefers an exact host to a wildcard, and the longest wildcard', async () => {
    await bench.serve({
      exact: { servers: [await named('exact')], routes: ['a.wild.test'] },
      wild: { servers: [await named('wild')], routes: ['*.wild.test'] },
      deep: { servers: [await named('deep')], routes: ['*.deep.wild.test'] },
    });
    expect(await get('a.wild.test')).toBe('exact /');
    expect(await get('b.wild.test')).toBe('wild /');
    expect(await get('x.y.wild.test')).toBe('wild /');
    expect(await get('x.deep.wild.test')).toBe('deep /');
    expect(await get('wild.test')).toContain('404');
  });

  it('spreads requests over all instances', async () => {
    const seen = new Map<string, number>();
    const servers = await Promise.all(['one', 'two', 'three'].map(named));
    await bench.serve({ many: { servers } });
    for (let i = 0; i < 60; i++) {
      const body = await get('many.test');
      seen.set(body, (seen.get(body) ?? 0) + 1);
    }
    expect([...seen.keys()].sort()).toEqual(['one /', 'three /', 'two /']);
  });

  it('sends a request to the instance with the fewest open ones', async () => {
    const held: (() => void)[] = [];
    const slow = bench.cleanUp.add(
      await httpServer((request, response) => {
        if (request.url === '/hold') held.push(() => response.end('held'));
        else response.end('slow');
      }),
    );
    await bench.serve({ lone: { servers: [slow] } });
    // More than one, since a router with several processes may count a request for a moment after its answer.
    const open = Promise.all(Array.from({ length: 5 }, () => get('lone.test', '/hold')));
    await expect.poll(() => held.length).toBe(5);
    // The instance is the first of the new table: it keeps its open requests, so the other one gets all.
    const table = tableOf({ lone: { servers: [slow, await named('free')] } });
    await bench.made.router.apply(table);
    for (let i = 0; i < 10; i++) expect(await get('lone.test')).toBe('free /');
    held.forEach((release) => release());
    expect(await open).toEqual(Array.from({ length: 5 }, () => 'held'));
  });

  it('matches among 10,000 routes', async () => {
    const servers = [await named('hit')];
    const apps = Object.fromEntries(
      Array.from({ length: 10_000 }, (_, i) => [`app${i}`, { servers, routes: [`app${i}.test/p`] }]),
    );
    await bench.serve(apps);
    for (const i of [0, 4_711, 9_999]) expect(await get(`app${i}.test`, '/p/q')).toBe('hit /p/q');
    expect(await get('app10000.test', '/p')).toContain('404');
  });

  it('refuses a table that contradicts itself and keeps the one in force', async () => {
    await bench.serve({ kept: { servers: [await named('kept')] } });
    const bad = tableOf({ gone: { servers: [] } });
    bad.http.push({ host: 'x.test', path: '/', backend: 'nobody' });
    await expect(bench.made.router.apply(bad)).rejects.toMatchObject({ code: 'bad_request' });
    expect(await get('kept.test')).toBe('kept /');
  });

  it('joins TCP ports to instances, half-closes included', async () => {
    const echo = bench.cleanUp.add(await tcpServer((socket) => socket.pipe(socket)));
    const dead = await freePort();
    const tcpPort = await freePort();
    await bench.serve({ echo: { servers: [{ port: dead }, echo], routes: [], tcp: [tcpPort] } });
    const ask = (): Promise<string> => {
      const client = rawClient(tcpPort);
      client.socket.end('hello');
      return client.ended().catch(() => 'broken off');
    };
    // One that meets the dead instance ends where the driver knows no other way; those behind it do not meet it for 2 s.
    let metAt = bench.lacks.includes('failover') ? -Infinity : null;
    for (let answered = 0; answered < 5;) {
      const began = performance.now();
      if ((await ask()) === 'hello') {
        if (metAt !== -Infinity) answered++;
        continue;
      }
      expect(metAt).not.toBeNull();
      expect(performance.now() - metAt!).toBeGreaterThan(1900);
      metAt = began;
    }
    await bench.serve({ echo: { servers: [echo], routes: [] } });
    await expect(rawClient(tcpPort).until(/never/)).rejects.toThrow(/connection over/);
  });

  it('reports a TCP port that is taken, and serves the rest', async () => {
    const taken = bench.cleanUp.add(await tcpServer(() => undefined));
    const table = tableOf({ a: { servers: [await named('a')], tcp: [taken.port] } });
    const status = await bench.made.router.apply(table);
    expect(status.problems).toEqual([expect.stringContaining(String(taken.port))]);
    expect(await get('a.test')).toBe('a /');
  });
}
