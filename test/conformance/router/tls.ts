import { once } from 'node:events';
import { request } from 'node:https';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { expect, it } from 'vitest';
import WebSocket, { WebSocketServer } from 'ws';
import { certificateFor, trusted, weakCertificate } from '../../support/certificates.ts';
import { eventually, fetchText, freePort, httpServer, tcpServer, type TestServer } from '../../support/wire.ts';
import type { Bench } from '../router.suite.ts';
import { portOf, tableOf, type MakeRouter } from './support.ts';

export function tls(bench: Bench, make: MakeRouter): void {
  const app = async (text = 'hello'): Promise<TestServer> =>
    bench.cleanUp.add(await httpServer((_request, response) => response.end(text)));

  async function open(port: number, servername: string, options: ConnectionOptions = {}): Promise<TLSSocket> {
    const common = { host: '127.0.0.1', port, servername, ca: await trusted() };
    const socket = connect({ ...common, ...options });
    bench.cleanUp.add({ close: () => socket.destroy() });
    await once(socket, 'secureConnect');
    return socket;
  }
  /** The serial number of the certificate that is shown for a name. */
  async function shown(port: number, servername: string): Promise<string> {
    const socket = await open(port, servername);
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return serialNumber;
  }
  async function get(tlsUrl: string, host: string, path = '/'): Promise<{ status: number; body: string }> {
    const ca = await trusted();
    return new Promise((resolve, reject) => {
      const options = { agent: false, ca, servername: host, headers: { host } };
      const outgoing = request(`${tlsUrl}${path}`, options, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (part: string) => (body += part));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      });
      outgoing.on('error', reject).end();
    });
  }

  it('listens while the table has certificates', async () => {
    expect((await bench.serve({ s: { servers: [await app()] } })).tlsUrl).toBeUndefined();
    const certificates = [await certificateFor('s.test')];
    const { tlsUrl, problems } = await bench.serve({ s: { servers: [await app()] } }, { certificates });
    expect(problems).toEqual([]);
    expect(tlsUrl).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    expect(await get(tlsUrl!, 's.test')).toEqual({ status: 200, body: 'hello' });
    expect((await bench.serve({ s: { servers: [await app()] } })).tlsUrl).toBeUndefined();
    await expect(open(portOf(tlsUrl!), 's.test')).rejects.toThrow(/ECONNREFUSED|disconnected|reset|alert/);
  });

  it('chooses the certificate by name: the exact one, then the wildcard of one label', async () => {
    const names = [['*.shop.test'], ['www.shop.test', 'shop.test'], ['other.test']];
    const certificates = await Promise.all(names.map((hosts) => certificateFor(...hosts)));
    const port = portOf((await bench.serve({}, { certificates })).tlsUrl!);
    const exact = await shown(port, 'www.shop.test');
    const wildcard = await shown(port, 'api.shop.test');
    expect(await shown(port, 'WWW.Shop.test')).toBe(exact);
    expect(await shown(port, 'shop.test')).toBe(exact);
    expect(await shown(port, 'x.shop.test')).toBe(wildcard);
    expect(new Set([exact, wildcard, await shown(port, 'other.test')]).size).toBe(3);
  });

  it('refuses the handshake for names without a certificate, and without a name', async () => {
    const certificates = [await certificateFor('*.shop.test')];
    const port = portOf((await bench.serve({}, { certificates })).tlsUrl!);
    for (const name of ['shop.test', 'a.b.shop.test', 'unknown.test']) {
      await expect(open(port, name)).rejects.toThrow(/alert|unrecognized/i);
    }
    await expect(open(port, '')).rejects.toThrow(/alert|unrecognized/i);
    await expect(open(port, 'a.shop.test', { maxVersion: 'TLSv1.1', minVersion: 'TLSv1' })).rejects.toThrow();
  });

  it('shows a changed certificate at once, and drops no open connection', async () => {
    const server = await app();
    const first = await bench.serve({ s: { servers: [server] } }, { certificates: [await certificateFor('s.test')] });
    const port = portOf(first.tlsUrl!);
    const before = await shown(port, 's.test');
    const kept = await open(port, 's.test');
    const second = await bench.serve({ s: { servers: [server] } }, { certificates: [await certificateFor('s.test')] });
    expect(second.tlsUrl).toBe(first.tlsUrl);
    expect(await shown(port, 's.test')).not.toBe(before);
    kept.write('GET / HTTP/1.1\r\nHost: s.test\r\nConnection: close\r\n\r\n');
    let text = '';
    for await (const part of kept) text += String(part);
    expect(text).toMatch(/^HTTP\/1\.1 200 .*hello/s);
  });

  it('tells instances that the client came with TLS', async () => {
    const echo = bench.cleanUp.add(
      await httpServer(({ headers }, response) =>
        response.end(`${String(headers['x-forwarded-proto'])} ${String(headers['x-forwarded-port'])}`),
      ),
    );
    const certificates = [await certificateFor('s.test')];
    const { tlsUrl } = await bench.serve({ s: { servers: [echo] } }, { certificates });
    expect((await get(tlsUrl!, 's.test')).body).toBe(`https ${portOf(tlsUrl!)}`);
  });

  it('sends requests without TLS there with 308, where the route asks for it', async () => {
    const certificates = [await certificateFor('s.test')];
    const table = tableOf({ s: { servers: [await app()] } }, { certificates });
    const http = table.http.map((route) => ({ ...route, https: true }));
    const { tlsUrl, url } = await bench.made.router.apply({ ...table, http });
    const plain = await fetchText(`${url}/a?b=1`, { headers: { host: 's.test' } });
    expect(plain).toMatchObject({ status: 308, headers: { location: `https://s.test:${portOf(tlsUrl!)}/a?b=1` } });
    expect((await get(tlsUrl!, 's.test')).status).toBe(200);
  });

  it('carries WebSockets', async () => {
    const wss = new WebSocketServer({ noServer: true });
    const echo = bench.cleanUp.add(
      await httpServer(
        (_request, response) => response.end(),
        (http) =>
          http.on('upgrade', (incoming, socket, head) => {
            wss.handleUpgrade(incoming, socket, head, (ws) =>
              ws.on('message', (data: Buffer) => ws.send(data.toString())),
            );
          }),
      ),
    );
    const certificates = [await certificateFor('ws.test')];
    const { tlsUrl } = await bench.serve({ ws: { servers: [echo] } }, { certificates });
    const options = { ca: await trusted(), servername: 'ws.test', headers: { host: 'ws.test' } };
    const socket = new WebSocket(`wss://127.0.0.1:${portOf(tlsUrl!)}/`, options);
    await once(socket, 'open');
    const open = async () => (await bench.made.router.observe()).open;
    await expect.poll(open).toEqual({ 'ws-0': 1 });
    const big = 'x'.repeat(1_000_000);
    for (const text of ['one', big]) {
      const echoed = once(socket, 'message') as Promise<[Buffer]>;
      socket.send(text);
      expect((await echoed)[0].toString() === text).toBe(true);
    }
    socket.close();
    await expect.poll(open).toEqual({});
  });

  it('breaks the connection off where a response breaks off', async () => {
    let breakOff = (): void => undefined;
    const broken = bench.cleanUp.add(
      await tcpServer((socket) =>
        socket.once('data', () => {
          breakOff = () => socket.destroy();
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf');
        }),
      ),
    );
    const certificates = [await certificateFor('s.test')];
    const { tlsUrl } = await bench.serve({ s: { servers: [broken] } }, { certificates });
    const ca = await trusted();
    const outcome = new Promise<string>((resolve, reject) => {
      const options = { agent: false, ca, servername: 's.test', headers: { host: 's.test' } };
      request(tlsUrl!, options, (response) => {
        response.on('data', () => breakOff()).on('end', () => resolve('whole'));
        response.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
      })
        .on('error', reject)
        .end();
    });
    expect(await outcome).toBe('ECONNRESET');
  });

  it('leaves a certificate out that cannot be used, names its host, and serves all others', async () => {
    const made = await make({ tlsPort: 0 });
    bench.cleanUp.add({ close: () => made.dispose() });
    const good = await certificateFor('good.test');
    const other = await certificateFor('bad.test');
    const bads = [{ ...other, key: good.key }, { ...other, chain: 'nonsense' }, await weakCertificate('bad.test')];
    for (const bad of bads) {
      const table = tableOf({ s: { servers: [await app()] } }, { certificates: [bad, good] });
      const status = await made.router.apply(table);
      expect(status.problems).toEqual([expect.stringContaining('bad.test')]);
      expect(status.version).toBe(table.version);
      expect(await shown(portOf(status.tlsUrl!), 'good.test')).toMatch(/\w/);
      await expect(open(portOf(status.tlsUrl!), 'bad.test')).rejects.toThrow();
    }
    await made.kill();
    const again = await made.router.start();
    expect(again.problems).toEqual([expect.stringContaining('bad.test')]);
    expect(await shown(portOf(again.tlsUrl!), 'good.test')).toMatch(/\w/);
    const mended = await made.router.apply(tableOf({}, { certificates: [good] }));
    expect(mended.problems).toEqual([]);
  });

  it('keeps port and certificates over a restart', async () => {
    const made = await make({ tlsPort: 0 });
    bench.cleanUp.add({ close: () => made.dispose() });
    const table = tableOf({ s: { servers: [await app()] } }, { certificates: [await certificateFor('s.test')] });
    let { tlsUrl } = await made.router.apply(table);
    const serial = await shown(portOf(tlsUrl!), 's.test');
    // Once may not do: somebody else may have taken the port meanwhile.
    await eventually('the same port', async () => {
      const before = tlsUrl;
      await made.kill();
      ({ tlsUrl } = await made.router.start());
      expect(await shown(portOf(tlsUrl!), 's.test')).toBe(serial);
      return tlsUrl === before;
    });
  });

  it('says when the port is taken, serves the rest, and listens when it is free', async () => {
    const taken = await tcpServer((socket) => socket.destroy());
    const made = await make({ tlsPort: taken.port });
    bench.cleanUp.add({ close: () => made.dispose() });
    const table = tableOf({ s: { servers: [await app()] } }, { certificates: [await certificateFor('s.test')] });
    const status = await made.router.apply(table);
    expect(status.problems).toEqual([expect.stringContaining(String(taken.port))]);
    expect(status.tlsUrl).toBeUndefined();
    await taken.close();
    await expect.poll(async () => (await made.router.observe()).tlsUrl, { timeout: 40_000 }).toBeDefined();
    await expect.poll(async () => (await made.router.observe()).problems).toEqual([]);
    expect((await get(`https://127.0.0.1:${taken.port}`, 's.test')).body).toBe('hello');
  });

  it('does not listen without a port for TLS', async () => {
    const made = await make({ port: await freePort() });
    bench.cleanUp.add({ close: () => made.dispose() });
    const status = await made.router.apply(tableOf({}, { certificates: [await certificateFor('s.test')] }));
    expect(status).toMatchObject({ problems: [] });
    expect(status.tlsUrl).toBeUndefined();
  });
}
