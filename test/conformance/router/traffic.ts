import { expect, it } from 'vitest';
import { latencyBounds } from '../../../src/shared/contracts/routes.ts';
import { fetchText, httpServer, rawClient } from '../../support/wire.ts';
import type { Bench } from '../router.suite.ts';

let apps = 0;
/** Counters live as long as the router, so each test has an app of its own. */
const fresh = (): string => `n${++apps}`;
const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

export function traffic(bench: Bench): void {
  const answering = async (status: number) =>
    bench.cleanUp.add(await httpServer((_request, response) => response.writeHead(status).end()));
  const get = (key: string, path = '/') => fetchText(`${bench.url}${path}`, { headers: { host: `${key}.test` } });
  const counts = async (key: string) =>
    (await bench.made.router.traffic()).counts.filter(({ appId }) => appId === `app_${key}`);
  const classes = async (key: string, release: number) =>
    (await counts(key)).find((count) => count.release === release)?.classes;

  it('counts what each release answered, by class', async () => {
    const key = fresh();
    await bench.serve({ [key]: { servers: [await answering(200)], releases: [1] } });
    expect(await counts(key)).toEqual([]);
    for (let i = 0; i < 3; i++) await get(key);
    await bench.serve({ [key]: { servers: [await answering(404)], releases: [2] } });
    await get(key);
    await bench.serve({ [key]: { servers: [await answering(503)], releases: [2] } });
    await get(key);
    await expect.poll(() => classes(key, 2)).toEqual([0, 0, 0, 1, 1]);
    await expect.poll(() => classes(key, 1)).toEqual([0, 3, 0, 0, 0]);
    // One after the other, behind the answer.
    const rest = async () => (await counts(key)).map(({ latency, open }) => [latency.length, sum(latency), open]);
    const each = latencyBounds.length + 1;
    await expect.poll(rest).toEqual([
      [each, 3, 0],
      [each, 2, 0],
    ]);
  });

  it('counts what the router answered in the place of an instance', async () => {
    const key = fresh();
    const silent = bench.cleanUp.add(await httpServer((request) => void request.socket.destroy()));
    await bench.serve({ [key]: { servers: [silent] } });
    expect((await get(key)).status).toBe(502);
    await expect.poll(() => classes(key, 1)).toEqual([0, 0, 0, 0, 1]);
  });

  it('puts a slow answer where it belongs in the histogram', async () => {
    const key = fresh();
    const slow = bench.cleanUp.add(
      await httpServer((_request, response) => void setTimeout(() => response.end(), 100)),
    );
    await bench.serve({ [key]: { servers: [slow] } });
    await get(key);
    await expect.poll(async () => sum((await counts(key))[0]?.latency ?? [])).toBe(1);
    const bucket = (await counts(key))[0]!.latency.indexOf(1);
    expect(latencyBounds[bucket] ?? Infinity).toBeGreaterThanOrEqual(98);
  });

  it('shows what is open, WebSockets among it, which are no part of the histogram', async () => {
    const key = fresh();
    const app = bench.cleanUp.add(
      await httpServer(
        () => undefined,
        (server) =>
          server.on('upgrade', (_request, socket) => {
            socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n');
            socket.on('end', () => socket.end());
          }),
      ),
    );
    await bench.serve({ [key]: { servers: [app] } });
    const client = rawClient(bench.port);
    client.write(`GET / HTTP/1.1\r\nHost: ${key}.test\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n`);
    await client.until(/ 101 /);
    expect((await counts(key))[0]).toMatchObject({ open: 1 });
    client.socket.end();
    await client.ended();
    await expect.poll(async () => (await counts(key))[0]).toMatchObject({ open: 0, classes: [1, 0, 0, 0, 0] });
    expect(sum((await counts(key))[0]!.latency)).toBe(0);
    client.socket.destroy();
  });

  it('counts each life of the router for itself', async () => {
    const before = (await bench.made.router.traffic()).epoch;
    expect((await bench.made.router.traffic()).epoch).toBe(before);
    await bench.made.kill();
    await bench.startAgain();
    const after = await bench.made.router.traffic();
    expect(after.epoch).not.toBe(before);
    expect(after.counts).toEqual([]);
  });
}
