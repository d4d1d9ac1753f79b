import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ClientConnection } from '../../../../../src/router/embedded/http/client.ts';
import type { Limits } from '../../../../../src/router/embedded/http/context.ts';
import type { HeldClient } from '../../../../../src/router/embedded/http/ends.ts';
import { CleanUp } from '../../../../conformance/router/support.ts';
import { http2Client } from '../../../../support/http2.ts';
import { httpServer, rawClient } from '../../../../support/wire.ts';
import { frontTo } from './front.ts';

const cleanUp = new CleanUp();
// Time passes when a test says so, however slow the machine is.
beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }));
afterEach(async () => {
  vi.useRealTimers();
  await cleanUp.run();
});

type Front = Awaited<ReturnType<typeof frontTo>>;

async function running(app: Parameters<typeof httpServer>[0], limits: Partial<Limits>): Promise<Front> {
  const server = cleanUp.add(await httpServer(app));
  return cleanUp.add(await frontTo(server.port, limits));
}

/** Lets all limits of a test pass, and the sweep look at every client twice. */
async function swept({ context: { clients } }: Front): Promise<void> {
  for (let look = 0; look < 2; look++) {
    vi.setSystemTime(Date.now() + 1000);
    const last = { deadline: 1 } as HeldClient;
    await new Promise<void>((resolve) => clients.add(Object.assign(last, { expire: resolve })));
    clients.delete(last);
  }
}

describe('a client that is slow to read its answer', () => {
  const close = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
  const keep = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
  const old = 'GET / HTTP/1.0\r\nHost: a\r\n\r\n';

  /** Answers with so much that its last bytes wait in the router, and no more. */
  async function answered(request: string, limits: Partial<Limits>) {
    let response: ServerResponse | undefined;
    const front = await running((_request, outgoing) => (response = outgoing), limits);
    const client = rawClient(front.port);
    cleanUp.add({ close: () => client.socket.destroy() });
    await once(client.socket, 'connect');
    client.socket.pause();
    client.write(request);
    await expect.poll(() => response !== undefined).toBe(true);
    const [held] = front.context.clients;
    if (!(held instanceof ClientConnection)) throw new Error('no connection of HTTP/1.1');
    let written = 0;
    while (held.socket.writableLength === 0) {
      response!.write('x'.repeat(2048));
      written += 2048;
      await turn();
    }
    response!.end('the end');
    await expect.poll(() => front.ended).toEqual([200]);
    expect(held.socket.writableLength).toBeGreaterThan(0);
    return { front, client, written };
  }
  const contentOf = (text: string): number => text.split('x').length - 1;

  it.each([
    ['it closes', close],
    ['it speaks HTTP/1.0', old],
    ['it is idle for too long afterwards', keep],
  ])('gets all of it where %s', async (_what, request) => {
    const { front, client, written } = await answered(request, { lingerMs: 1, idleMs: 1 });
    await swept(front);
    // The idle one is closed in its time.
    vi.useRealTimers();
    client.socket.resume();
    const text = await client.ended();
    expect(text.includes('the end')).toBe(true);
    // And those of the X-Request-Id header's name.
    expect(contentOf(text.slice(text.indexOf('\r\n\r\n')))).toBe(written);
  });

  it.each([close, keep])('is given up when it takes nothing for too long (%j)', async (request) => {
    const { front, client } = await answered(request, { stallMs: 1 });
    await swept(front);
    client.socket.resume();
    expect((await client.ended()).includes('the end')).toBe(false);
  });

  it('may go on asking afterwards', async () => {
    const { client } = await answered(keep, {});
    client.socket.resume();
    await client.until(/the end\r\n0\r\n\r\n$/);
    client.write('GET /again HTTP/1.1\r\nHost: b\r\nBad Header\r\n\r\n');
    expect(await client.ended()).toMatch(/HTTP\/1\.1 400 /);
  });
});

describe('a client that is silent in the middle of its request', () => {
  const echo: Parameters<typeof httpServer>[0] = (request, response) => {
    if (request.url !== '/wait') response.flushHeaders();
    request.on('data', (data) => response.write(data)).on('end', () => response.end());
  };
  const head = (path: string) => `POST ${path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n`;

  it('keeps its exchange once the answer has begun', async () => {
    const front = await running(echo, { bodyMs: 1 });
    const client = rawClient(front.port);
    client.write(`${head('/')}3\r\none\r\n`);
    await client.until(/one/);
    await swept(front);
    client.write('3\r\ntwo\r\n');
    await client.until(/two/);
    await swept(front);
    client.write('0\r\n\r\n');
    await client.until(/\r\n0\r\n\r\n$/);
    client.socket.destroy();
  });

  it('keeps it with HTTP/2, too', async () => {
    const front = await running(echo, { bodyMs: 1 });
    const session = await http2Client(`http://127.0.0.1:${front.port}`);
    cleanUp.add({ close: () => session.destroy() });
    const stream = session.request({ ':authority': 'a', ':method': 'POST' }, { endStream: false });
    stream.on('error', () => undefined);
    for (const word of ['one', 'two']) {
      stream.write(word);
      const [echoed] = (await once(stream, 'data')) as [Buffer];
      expect(echoed.toString()).toBe(word);
      await swept(front);
    }
    stream.end();
    stream.resume();
    await once(stream, 'close');
    expect(stream.rstCode).toBe(0);
  });

  it('is told so before', async () => {
    const reached: unknown[] = [];
    const front = await running((request) => void reached.push(request), { bodyMs: 1 });
    const client = rawClient(front.port);
    client.write(`${head('/wait')}3\r\none\r\n`);
    await expect.poll(() => reached).toHaveLength(1);
    await swept(front);
    expect(await client.ended()).toMatch(/^HTTP\/1\.1 408 /);
    const session = await http2Client(`http://127.0.0.1:${front.port}`);
    cleanUp.add({ close: () => session.destroy() });
    const stream = session.request({ ':authority': 'a', ':method': 'POST' }, { endStream: false });
    stream.on('error', () => undefined);
    stream.write('one');
    const response = once(stream, 'response') as Promise<[Record<string, number>]>;
    await expect.poll(() => reached).toHaveLength(2);
    await swept(front);
    const [headers] = await response;
    expect(headers[':status']).toBe(408);
  });
});
