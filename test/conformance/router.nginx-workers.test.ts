/** What nginx counts, over the lives of its workers: old ones stay behind a reload for as long as they have connections. */
import { afterEach, expect, it } from 'vitest';
import { sendSignal } from '../../src/shared/processes.ts';
import { workerCount } from '../../src/router/nginx/write.ts';
import { isLeaving } from '../support/nginx-processes.ts';
import { eventually, fetchText, httpServer, rawClient } from '../support/wire.ts';
import { startNginx } from './router/own-nginx.ts';
import { CleanUp, portOf, tableOf } from './router/support.ts';

const cleanUp = new CleanUp();
afterEach(() => cleanUp.run());

/** An app whose connections stay, with everything else answered. */
const tunnels = async () =>
  cleanUp.add(
    await httpServer(
      (_request, response) => response.end('ok'),
      (server) =>
        server.on('upgrade', (_request, socket) => {
          socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n');
          socket.on('error', () => undefined).on('end', () => socket.end());
        }),
    ),
  );

it('counts what each worker has open through many reloads, and forgets what those had that were killed', async () => {
  const { router, workers } = await startNginx(cleanUp);
  const servers = [await tunnels()];
  const table = tableOf({ k: { servers } });
  const open = async (): Promise<number> => (await router.observe()).open['k-0'] ?? 0;
  const each = 6;
  const generations = 11;
  for (let generation = 1; generation <= generations; generation++) {
    table.backends.k!.nginx = `add_header X-Generation ${generation};`;
    const { url, problems } = await router.apply({ ...table, version: table.version + generation });
    expect(problems).toEqual([]);
    // By whichever worker takes it.
    for (let i = 0; i < 12; i++) {
      const { status, headers } = await fetchText(url, { headers: { host: 'k.test' } });
      expect([status, headers['x-generation']]).toEqual([200, String(generation)]);
    }
    for (let i = 0; i < each; i++) {
      const client = rawClient(portOf(url));
      cleanUp.add({ close: () => client.socket.destroy() });
      client.write('GET / HTTP/1.1\r\nHost: k.test\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
      await client.until(/ 101 /);
    }
    await expect.poll(open).toBe(generation * each);
  }
  const old = workers().filter(isLeaving);
  // Of each generation but the last one some have connections, and of some all; a single worker has all there are.
  expect(old.length).toBeGreaterThanOrEqual(workerCount() > 1 ? generations + 1 : generations - 1);
  for (const pid of old) sendSignal(pid, 'SIGKILL');
  await expect.poll(open).toBe(each);
  const counts = async () => (await router.traffic()).counts.map(({ classes }) => classes[1]);
  await expect.poll(counts).toEqual([generations * 12]);
});

it('gives the room of a killed worker of before to those that wait', async () => {
  const { router, workers } = await startNginx(cleanUp);
  const servers = [await tunnels()];
  const settings = { limits: { concurrency: 1, queue: 5, queueMs: 50_000 } };
  const table = tableOf({ k: { servers, settings } });
  const { url } = await router.apply(table);
  const client = rawClient(portOf(url));
  cleanUp.add({ close: () => client.socket.destroy() });
  client.write('GET / HTTP/1.1\r\nHost: k.test\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
  await client.until(/ 101 /);
  table.backends.k!.nginx = 'add_header X-Own yes;';
  await router.apply({ ...table, version: table.version + 1 });
  await eventually('the worker to be one of before', () => workers().some(isLeaving));
  const waiting = fetchText(url, { headers: { host: 'k.test' } });
  for (const pid of workers().filter(isLeaving)) sendSignal(pid, 'SIGKILL');
  expect(await waiting).toMatchObject({ status: 200, body: 'ok' });
});
