import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { TransportError, undiciTransport } from '../../../src/clouds/http.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
const get = (url: string, timeoutMs = 30_000) =>
  undiciTransport({ method: 'GET', url, headers: { 'x-a': '1' }, timeoutMs });
const failure = async (promise: Promise<unknown>) => {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(TransportError);
  return error as TransportError;
};

describe('the transport', () => {
  it('carries method, headers and body, and gives status, headers and text back', async () => {
    const url = await serve((request, response) => {
      request.setEncoding('utf8').on('data', (body: string) => {
        response
          .writeHead(418, { 'X-Say': ['one', 'two'] })
          .end(`${request.method} ${String(request.headers['x-a'])} ${body} ü`);
      });
    });
    const answer = await undiciTransport({
      method: 'POST',
      url,
      headers: { 'x-a': '1' },
      body: 'b',
      timeoutMs: 30_000,
    });
    expect(answer).toMatchObject({ status: 418, body: 'POST 1 b ü', headers: { 'x-say': 'one' } });
  });

  it('says that nothing was sent where nobody listens', async () => {
    expect((await failure(get('http://127.0.0.1:1'))).sent).toBe(false);
  });

  it('says that it may have been sent when the connection breaks or no answer comes', async () => {
    const broken = await serve((request) => request.socket.destroy());
    expect((await failure(get(broken))).sent).toBe(true);
    const halfway = await serve((_, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('half');
      setImmediate(() => response.destroy());
    });
    expect((await failure(get(halfway))).sent).toBe(true);
    const silent = await serve(() => undefined);
    const late = await failure(get(silent, 100));
    expect(late).toMatchObject({ sent: true, message: 'no answer within 100 ms' });
  });

  it('reads no endless answer', async () => {
    const url = await serve((_, response) => {
      const chunk = Buffer.alloc(1024 * 1024);
      const pour = () => {
        while (response.write(chunk));
        response.once('drain', pour);
      };
      pour();
    });
    expect((await failure(get(url))).message).toContain('larger than');
  });
});
