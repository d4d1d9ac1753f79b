import { spawn } from 'node:child_process';
import { getEventListeners, once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { choosePort, isPortFree } from '../../../src/agent/ports.ts';
import { explainPort, probe } from '../../../src/agent/probe.ts';
import { eventually } from '../../support/eventually.ts';

const servers: net.Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});
async function listen(server: net.Server, host: string): Promise<number> {
  servers.push(server.listen(0, host));
  await once(server, 'listening');
  return (server.address() as net.AddressInfo).port;
}
const never = new AbortController().signal;
const me = [process.pid];

describe('probe', () => {
  it.each([
    [200, { ok: true }],
    [302, { ok: true }],
    [404, { ok: false, reason: 'GET /up answers 404' }],
    [503, { ok: false, reason: 'GET /up answers 503' }],
  ])('http takes status %i for %o', async (status, expected) => {
    let seen: http.IncomingMessage | undefined;
    const server = http.createServer((request, response) => {
      seen = request;
      response.writeHead(status).end();
    });
    const port = await listen(server, '127.0.0.1');
    expect(await probe({ type: 'http', path: '/up' }, '127.0.0.1', port, never)).toEqual(expected);
    expect(seen).toMatchObject({ url: '/up', headers: { host: 'localhost' } });
  });

  it('http asks for a path of any letters, and names it as it was given', async () => {
    const seen: unknown[] = [];
    const server = http.createServer((request, response) => {
      seen.push(request.url);
      response.writeHead(seen.length === 1 ? 200 : 404).end();
    });
    const port = await listen(server, '127.0.0.1');
    const look = (path: string) => probe({ type: 'http', path }, '127.0.0.1', port, never);
    expect(await look('/健康?q=é😀%20')).toEqual({ ok: true });
    expect(await look('/a b\n')).toEqual({ ok: false, reason: 'GET /a b\n answers 404' });
    expect(seen).toEqual(['/%E5%81%A5%E5%BA%B7?q=%C3%A9%F0%9F%98%80%20', '/a%20b%0A']);
  });

  it('fails instead of throwing where nothing can be asked', async () => {
    const port = await listen(net.createServer(), '127.0.0.1');
    expect(await probe({ type: 'http', path: '/\ud800' }, '127.0.0.1', port, never)).toMatchObject({ ok: false });
  });

  it('port asks for a connection, and says when there is none', async () => {
    const port = await listen(net.createServer(), '127.0.0.1');
    expect(await probe({ type: 'port' }, '127.0.0.1', port, never)).toEqual({ ok: true });
    // The near end of a connection: a port that nobody else can come to listen on meanwhile.
    const socket = net.connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const silent = socket.localPort!;
    const reason = `nothing listens on PORT (${silent})`;
    expect(await probe({ type: 'port' }, '127.0.0.1', silent, never)).toEqual({ ok: false, reason });
    socket.destroy();
  });

  it('gives up at once when it is no longer wanted', async () => {
    const port = await listen(net.createServer(), '127.0.0.1');
    const gone = new AbortController();
    const result = probe({ type: 'http', path: '/' }, '127.0.0.1', port, gone.signal);
    gone.abort();
    expect(await result).toMatchObject({ ok: false });
  });

  it.each(['port', 'http'] as const)(
    'by %s leaves nothing on the signal, which lives as long as the run',
    async (type) => {
      const port = await listen(
        http.createServer((_request, response) => response.end()),
        '127.0.0.1',
      );
      const { signal } = new AbortController();
      for (let i = 0; i < 50; i++)
        expect(await probe({ type, path: '/' }, '127.0.0.1', port, signal)).toEqual({ ok: true });
      await eventually(() => getEventListeners(signal, 'abort')).toEqual([]);
    },
  );
});

describe.runIf(process.platform === 'linux')('whose port', () => {
  it('is well when the instance listens on the address, or on all', async () => {
    const port = await listen(net.createServer(), '0.0.0.0');
    expect(explainPort(me, '127.0.0.2', port)).toBeNull();
    expect(explainPort(me, '127.0.0.2', await listen(net.createServer(), '127.0.0.2'))).toBeNull();
  });

  it('tells where the instance listens instead', async () => {
    const port = await listen(net.createServer(), '127.0.0.1');
    const reason = `listens on 127.0.0.1:${port} only; bind 0.0.0.0`;
    expect(explainPort(me, '127.0.0.2', port)).toEqual({ ok: false, reason });
    const wrong = explainPort(me, '127.0.0.2', 1);
    expect(wrong).toMatchObject({ ok: false });
    expect(wrong?.ok === false && wrong.reason).toMatch(/^listens on port .*\d, but PORT is 1$/);
  });

  it('tells when the port is another process’s', async () => {
    const port = await listen(net.createServer(), '127.0.0.1');
    const reason = `port ${port} is taken by another process`;
    expect(explainPort([process.ppid], '127.0.0.1', port)).toMatchObject({ ok: false, reason, foreign: true });
  });
});

describe.runIf(process.platform === 'linux')('an answer that comes while the instance has no process', () => {
  it('is somebody else’s before it begins', async () => {
    const port = await listen(net.createServer(), '127.0.0.1');
    expect(explainPort([], '127.0.0.1', port)).toEqual({ ok: false, reason: `nothing listens on PORT (${port})` });
  });

  it('is somebody else’s when it could not get the port and has ended', async () => {
    const port = await listen(net.createServer(), '127.0.0.1');
    const ended = spawn('true');
    await once(ended, 'exit');
    expect(explainPort([ended.pid!], '127.0.0.1', port)).toMatchObject({ ok: false, foreign: true });
  });
});

describe('ports', () => {
  it('are free on every address and given once', async () => {
    const port = await listen(net.createServer(), '127.0.0.1');
    expect(await isPortFree(port)).toBe(false);
    // Where nobody else looks for ports at the same time.
    const chosen = await choosePort({ from: 9000, to: 9100 }, new Set());
    expect(await choosePort({ from: chosen, to: chosen }, new Set())).toBe(chosen);
    await expect(choosePort({ from: chosen, to: chosen }, new Set([chosen]))).rejects.toMatchObject({
      code: 'no_capacity',
    });
  });
});
