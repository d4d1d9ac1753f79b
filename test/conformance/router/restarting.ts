import { Agent } from 'node:https';
import { afterEach, expect, it } from 'vitest';
import { errnoOf } from '../../../src/shared/errors.ts';
import { certificateFor, trusted } from '../../support/certificates.ts';
import { fetchText, freePort, httpServer, keepAliveAgent, rawClient, tcpServer } from '../../support/wire.ts';
import type { Lack } from '../router.suite.ts';
import { CleanUp, portOf, tableOf, type MakeRouter } from './support.ts';

/** SIGHUP exchanges the router's processes while it serves. */
export function restarting(make: MakeRouter, lacks: readonly Lack[]): void {
  const cleanUp = new CleanUp();
  afterEach(() => cleanUp.run());
  const headers = { host: 'k.test' };

  it('serves without a gap while it is restarted, again and again', async () => {
    const made = await make();
    cleanUp.add({ close: () => made.dispose() });
    const app = cleanUp.add(await httpServer((request, response) => request.pipe(response)));
    const { url } = await made.router.apply(tableOf({ k: { servers: [app] } }));
    let asking = true;
    let answered = 0;
    const kept = keepAliveAgent();
    const ask = async (agent: false | typeof kept): Promise<void> => {
      let before = -Infinity;
      while (asking) {
        const began = performance.now();
        try {
          const { status, body } = await fetchText(url, { method: 'POST', headers, agent, body: 'whole' });
          expect({ status, body }).toEqual({ status: 200, body: 'whole' });
          answered++;
        } catch (error) {
          // A connection at rest is told with an answer that it ends, some time before. This client was held up for longer.
          const atRest = agent && lacks.includes('handover') && began - before > 250;
          if (!atRest || !/ECONNRESET|EPIPE/.test(errnoOf(error) ?? '')) throw error;
        }
        before = began;
      }
    };
    const asked = Promise.all([ask(false), ask(kept), ask(false)]);
    for (let round = 0; round < 3; round++) {
      await made.restart();
      const enough = answered + 50;
      await expect.poll(() => answered >= enough, { timeout: 30_000 }).toBe(true);
    }
    asking = false;
    await asked;
    kept.destroy();
    const table = tableOf({ k: { servers: [app] }, other: { servers: [app] } });
    expect(await made.router.apply(table)).toMatchObject({ version: table.version, url, problems: [] });
    expect((await fetchText(url, { headers: { host: 'other.test' } })).status).toBe(200);
  });

  if (!lacks.includes('handover'))
    it('follows the table on connections that were open before', async () => {
      const made = await make();
      cleanUp.add({ close: () => made.dispose() });
      const app = async (text: string) => cleanUp.add(await httpServer((_request, response) => response.end(text)));
      const { url } = await made.router.apply(tableOf({ k: { servers: [await app('first')] } }));
      const client = rawClient(portOf(url));
      const request = 'GET / HTTP/1.1\r\nHost: k.test\r\n\r\n';
      client.write(request);
      await client.until(/first$/);
      await made.restart();
      await made.router.apply(tableOf({ k: { servers: [await app('second')] } }));
      client.write(request);
      await client.until(/second$/);
      client.socket.destroy();
    });

  if (!lacks.includes('handover'))
    it('keeps connections whose response said so before it was whole', async () => {
      const made = await make();
      cleanUp.add({ close: () => made.dispose() });
      let release: (() => void) | undefined;
      const app = await httpServer((_request, response) => {
        response.writeHead(200, { 'content-length': 10 }).write('begun');
        release = () => response.end('whole');
      });
      cleanUp.add(app);
      const { url } = await made.router.apply(tableOf({ k: { servers: [app] } }));
      const client = rawClient(portOf(url));
      const request = 'GET / HTTP/1.1\r\nHost: k.test\r\n\r\n';
      client.write(request);
      await client.until(/begun$/);
      await made.restart();
      // Told by the process before this one, which stops.
      await expect.poll(async () => (await made.router.observe()).open).toEqual({ 'k-0': 1 });
      release!();
      expect(await client.until(/begunwhole$/)).not.toMatch(/connection: close/i);
      release = undefined;
      client.write(request);
      await expect.poll(() => release !== undefined).toBe(true);
      release!();
      expect(await client.until(/whole.*begunwhole$/s)).toMatch(/connection: close\r\n.*begunwhole$/is);
      client.socket.destroy();
    });

  it('is restarted while connections of a removed TCP route are open', async () => {
    const made = await make();
    cleanUp.add({ close: () => made.dispose() });
    const app = cleanUp.add(await httpServer((_request, response) => response.end('ok')));
    const echo = cleanUp.add(await tcpServer((socket) => void socket.pipe(socket)));
    const port = await freePort();
    await made.router.apply(tableOf({ t: { servers: [echo], routes: [], tcp: [port] } }));
    const client = rawClient(port);
    cleanUp.add({ close: () => client.socket.destroy() });
    client.write('one');
    await client.until(/one$/);
    const { url } = await made.router.apply(tableOf({ k: { servers: [app] } }));
    await made.restart();
    expect((await made.router.observe()).problems).toEqual([]);
    expect((await fetchText(url, { headers })).body).toBe('ok');
    client.write('two');
    await client.until(/two$/);
  });

  it('listens for TLS on the same port behind it', async () => {
    const made = await make({ tlsPort: 0 });
    cleanUp.add({ close: () => made.dispose() });
    const app = cleanUp.add(await httpServer((_request, response) => response.end('secure')));
    const more = { certificates: [await certificateFor('k.test')] };
    const { tlsUrl } = await made.router.apply(tableOf({ k: { servers: [app] } }, more));
    await made.restart();
    const agent = new Agent({ ca: await trusted(), servername: 'k.test' });
    expect(await fetchText(tlsUrl!, { agent, headers })).toMatchObject({ status: 200, body: 'secure' });
    const { tlsUrl: after, problems } = await made.router.observe();
    expect({ after, problems }).toEqual({ after: tlsUrl, problems: [] });
    agent.destroy();
  });

  it('lets requests end that began before, and counts them until then', async () => {
    const made = await make();
    cleanUp.add({ close: () => made.dispose() });
    let release: (() => void) | undefined;
    const app = cleanUp.add(
      await httpServer((_request, response) => {
        response.write('begun');
        release = () => response.end(' and whole');
      }),
    );
    const { url } = await made.router.apply(tableOf({ k: { servers: [app] } }));
    const open = fetchText(url, { headers });
    await expect.poll(() => release !== undefined).toBe(true);
    const processes = made.processes();
    await made.restart();
    // Out of the table, and yet not free to go.
    const { open: counted } = await made.router.apply(tableOf({ k: { servers: [] } }));
    expect(counted).toEqual({ 'k-0': 1 });
    release!();
    expect((await open).body).toBe('begun and whole');
    await expect.poll(async () => (await made.router.observe()).open).toEqual({});
    await expect.poll(() => processes.filter((pid) => made.processes().includes(pid)).length).toBeLessThan(2);
  });
}
