import { expect, it } from 'vitest';
import WebSocket, { WebSocketServer } from 'ws';
import { fetchText, freePort, httpServer, keepAliveAgent, rawClient, tcpServer } from '../../support/wire.ts';
import type { Bench } from '../router.suite.ts';

export function draining(bench: Bench): void {
  const open = async () => (await bench.made.router.observe()).open;

  it('sends nothing new to an endpoint that left the table, not even over kept connections', async () => {
    let released: (() => void) | undefined;
    let requests = 0;
    const old = bench.cleanUp.add(
      await httpServer((request, response) => {
        requests++;
        if (request.url === '/slow') released = () => response.end('slow');
        else response.end('old');
      }),
    );
    const next = bench.cleanUp.add(await httpServer((_request, response) => response.end('new')));
    await bench.serve({ old: { servers: [old], routes: ['d.test'] } });
    const agent = keepAliveAgent(1);
    const get = async () => (await fetchText(bench.url, { agent, headers: { host: 'd.test' } })).body;
    expect(await get()).toBe('old');
    const slow = fetchText(`${bench.url}/slow`, { headers: { host: 'd.test' } });
    await expect.poll(() => released !== undefined).toBe(true);
    await bench.serve({ new: { servers: [next], routes: ['d.test'] } });
    for (let i = 0; i < 10; i++) expect(await get()).toBe('new');
    expect(requests).toBe(2);
    await expect.poll(open).toEqual({ 'old-0': 1 });
    released!();
    expect((await slow).body).toBe('slow');
    await expect.poll(open).toEqual({});
    await expect.poll(() => old.sockets.size).toBe(0);
    agent.destroy();
  });

  it('counts WebSockets and TCP connections as open, and lets them go on', async () => {
    const wss = new WebSocketServer({ noServer: true });
    const app = bench.cleanUp.add(
      await httpServer(
        (_request, response) => response.end(),
        (http) =>
          http.on('upgrade', (request, socket, head) => {
            wss.handleUpgrade(request, socket, head, (ws) =>
              ws.on('message', (data: Buffer) => ws.send(data.toString())),
            );
          }),
      ),
    );
    const echo = bench.cleanUp.add(await tcpServer((socket) => socket.pipe(socket)));
    const port = await freePort();
    await bench.serve({ ws: { servers: [app] }, tcp: { servers: [echo], routes: [], tcp: [port] } });
    const socket = new WebSocket(`ws://127.0.0.1:${bench.port}/`, { headers: { host: 'ws.test' } });
    await new Promise((resolve) => socket.once('open', resolve));
    const client = rawClient(port);
    client.write('a');
    await client.until(/a/);
    await expect.poll(open).toEqual({ 'ws-0': 1, 'tcp-0': 1 });
    await bench.serve({});
    await expect.poll(open).toEqual({ 'ws-0': 1, 'tcp-0': 1 });
    client.write('b');
    await client.until(/ab/);
    const echoed = new Promise((resolve) => socket.once('message', (data: Buffer) => resolve(data.toString())));
    socket.send('still');
    expect(await echoed).toBe('still');
    socket.close();
    client.socket.end();
    await expect.poll(open).toEqual({});
  });

  it('fails no request while tables change under load', async () => {
    const servers = await Promise.all(
      Array.from({ length: 4 }, async () =>
        bench.cleanUp.add(
          await httpServer(
            (request, response) => void request.resume().on('end', () => setTimeout(() => response.end('ok'), 2)),
          ),
        ),
      ),
    );
    const pick = (i: number) => ({ l: { servers: [servers[i % 4]!, servers[(i + 1) % 4]!] } });
    await bench.serve(pick(0));
    let stop = false;
    const answers = new Map<number, number>();
    const agent = keepAliveAgent(8);
    const load = Array.from({ length: 16 }, async (_, n) => {
      while (!stop) {
        const options = n % 2 ? { agent } : {};
        const body = n % 4 < 2 ? { method: 'POST', body: 'x'.repeat(1000) } : {};
        const { status } = await fetchText(bench.url, { ...options, ...body, headers: { host: 'l.test' } });
        answers.set(status, (answers.get(status) ?? 0) + 1);
      }
    });
    for (let i = 1; i <= 40; i++) {
      await bench.serve(pick(i));
      await fetchText(bench.url, { headers: { host: 'l.test' } });
    }
    stop = true;
    await Promise.all(load);
    agent.destroy();
    expect([...answers.keys()]).toEqual([200]);
  });
}
