import { createHash, randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { expect, it } from 'vitest';
import WebSocket, { WebSocketServer } from 'ws';
import { fetchText, httpServer, rawClient, tcpServer } from '../../support/wire.ts';
import type { Bench } from '../router.suite.ts';

export function streaming(bench: Bench): void {
  const echo = async () => bench.cleanUp.add(await httpServer((incoming, response) => void incoming.pipe(response)));
  const head = (lines: string) => `POST / HTTP/1.1\r\nHost: s.test\r\n${lines}\r\n`;

  it('streams both ways at once', async () => {
    await bench.serve({ s: { servers: [await echo()] } });
    const client = rawClient(bench.port);
    client.write(head('Transfer-Encoding: chunked\r\n'));
    for (const word of ['one', 'two', 'three']) {
      client.write(`${word.length.toString(16)};ext=1\r\n${word}\r\n`);
      await client.until(new RegExp(`${word}\r\n$`));
    }
    client.write('0\r\n\r\n');
    await client.until(/\r\n0\r\n\r\n$/);
    client.socket.destroy();
  });

  /** Answers when the request is whole. */
  const mirror = async () =>
    bench.cleanUp.add(
      await httpServer((incoming, response) => {
        const parts: Buffer[] = [];
        incoming.on('data', (part: Buffer) => parts.push(part)).on('end', () => response.end(Buffer.concat(parts)));
      }),
    );

  it.each(['content-length', 'chunked'])('carries 32 MB through with %s, byte for byte', async (framing) => {
    await bench.serve({ s: { servers: [await (bench.lacks.includes('duplex') ? mirror() : echo())] } });
    const body = randomBytes(32 * 1024 * 1024);
    const headers = framing === 'chunked' ? { 'transfer-encoding': 'chunked' } : { 'content-length': body.length };
    const hash = createHash('sha256');
    let length = 0;
    await new Promise<void>((resolve, reject) => {
      const outgoing = request(bench.url, { agent: false, method: 'POST', headers: { host: 's.test', ...headers } });
      outgoing.on('error', reject).on('response', (response) => {
        response.on('data', (part: Buffer) => {
          hash.update(part);
          length += part.length;
        });
        response.on('end', resolve).on('error', reject);
      });
      for (let at = 0; at < body.length; at += 100_001) outgoing.write(body.subarray(at, at + 100_001));
      outgoing.end();
    });
    expect(length).toBe(body.length);
    expect(hash.digest('hex')).toBe(createHash('sha256').update(body).digest('hex'));
  });

  it('holds the app back while the client does not read', async () => {
    let written = 0;
    let ended = false;
    const app = bench.cleanUp.add(
      await httpServer((_request, response) => {
        const chunk = Buffer.alloc(256 * 1024, 'x');
        const more = (): void => {
          while (written < 400 && response.write(chunk)) written++;
          if (written === 400) response.end(() => (ended = true));
          else
            response.once('drain', () => {
              written++;
              more();
            });
        };
        more();
      }),
    );
    await bench.serve({ s: { servers: [app] } });
    const client = rawClient(bench.port);
    client.socket.pause();
    client.write('GET / HTTP/1.1\r\nHost: s.test\r\nConnection: close\r\n\r\n');
    // The app writes until every buffer on the way is full; then nothing moves.
    let before = 0;
    const stands = (): boolean => before > 0 && before === (before = written);
    await expect.poll(() => stands() || ((before = written), false), { interval: 200 }).toBe(true);
    expect(ended).toBe(false);
    expect(written).toBeLessThan(200);
    client.socket.resume();
    const text = await client.ended();
    expect(text.length).toBeGreaterThanOrEqual(400 * 256 * 1024);
  });

  const interim = bench.lacks.includes('interim') ? '100 Continue' : '100 Continue and 103';
  it(`passes ${interim} on, and the body only when the client sends it`, async () => {
    const app = bench.cleanUp.add(
      await httpServer(
        (incoming, response) => void incoming.pipe(response),
        (server) =>
          server.on('checkContinue', (incoming, response) => {
            response.writeEarlyHints({ link: '</a.css>; rel=preload' });
            response.writeContinue();
            incoming.pipe(response);
          }),
      ),
    );
    await bench.serve({ s: { servers: [app] } });
    const client = rawClient(bench.port);
    client.write(head('Content-Length: 4\r\nExpect: 100-continue\r\n'));
    const early = await client.until(/HTTP\/1\.1 100 Continue\r\n\r\n$/);
    if (!bench.lacks.includes('interim')) expect(early).toMatch(/^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a\.css>/i);
    client.write('body');
    expect(await client.until(/body/)).toContain('HTTP/1.1 200');
    client.socket.destroy();
  });

  if (!bench.lacks.includes('trailers'))
    it('passes trailers on, both ways', async () => {
      const app = bench.cleanUp.add(
        await httpServer((incoming, response) => {
          incoming.resume();
          incoming.on('end', () => {
            response.writeHead(200, { trailer: 'X-Sum' });
            response.write('x');
            response.addTrailers({ 'x-sum': String(incoming.trailers['x-in']) });
            response.end();
          });
        }),
      );
      await bench.serve({ s: { servers: [app] } });
      const client = rawClient(bench.port);
      client.write(
        head('Transfer-Encoding: chunked\r\nTE: trailers\r\nTrailer: X-In\r\n') + '1\r\na\r\n0\r\nX-In: 42\r\n\r\n',
      );
      expect(await client.until(/0\r\nX-Sum: 42\r\n\r\n$/i)).toContain('200');
      client.socket.destroy();
    });

  it('gives an early answer to the client while the upload goes on', async () => {
    const app = bench.cleanUp.add(
      await httpServer((_request, response) => void response.writeHead(413).end('too much')),
    );
    await bench.serve({ s: { servers: [app] } });
    const client = rawClient(bench.port);
    client.write(head('Content-Length: 1000000000\r\n') + 'x'.repeat(100_000));
    const text = await client.until(/too much/);
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
    if (!bench.lacks.includes('early')) expect(text).toMatch(/connection: close/i);
    client.socket.destroy();
  });

  it('ends the request at the app when the client goes away', async () => {
    let gone = false;
    const app = bench.cleanUp.add(
      await httpServer((incoming, response) => {
        response.write('first');
        response.on('close', () => (gone = true));
        incoming.resume();
      }),
    );
    await bench.serve({ s: { servers: [app] } });
    const client = rawClient(bench.port);
    client.write('GET / HTTP/1.1\r\nHost: s.test\r\n\r\n');
    await client.until(/first/);
    client.socket.destroy();
    await expect.poll(() => gone).toBe(true);
  });

  it('carries WebSockets, also what is sent at once', async () => {
    let protocols: string | undefined;
    const wss = new WebSocketServer({ noServer: true });
    const app = bench.cleanUp.add(
      await httpServer(
        (_request, response) => response.end('plain'),
        (http) =>
          http.on('upgrade', (incoming, socket, first) => {
            protocols = incoming.headers['sec-websocket-protocol'];
            wss.handleUpgrade(incoming, socket, first, (one) => {
              one.send('hello');
              one.on('message', (data: Buffer) => one.send(`echo ${data.toString()}`));
            });
          }),
      ),
    );
    await bench.serve({ s: { servers: [app] } });
    const client = new WebSocket(`ws://127.0.0.1:${bench.port}/`, ['chat'], { headers: { host: 's.test' } });
    const messages: string[] = [];
    client.on('message', (data: Buffer) => messages.push(data.toString()));
    client.on('open', () => client.send('x'.repeat(70_000)));
    await expect.poll(() => messages.length).toBe(2);
    expect(messages[0]).toBe('hello');
    expect(messages[1]).toHaveLength(70_005);
    expect(protocols).toBe('chat');
    const closed = new Promise((resolve) => client.once('close', resolve));
    client.close(4001);
    expect(await closed).toBe(4001);
  });

  it('answers a refused Upgrade as any response, and never tunnels without 101', async () => {
    const app = bench.cleanUp.add(
      await tcpServer((socket) => {
        socket.on('data', (data) => {
          const [first] = data.toString().match(/^[A-Z]+ \S+ HTTP/m) ?? [''];
          socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${first.length}\r\n\r\n${first}`);
        });
      }),
    );
    await bench.serve({ s: { servers: [app] } });
    const client = rawClient(bench.port);
    client.write(
      'GET /one HTTP/1.1\r\nHost: s.test\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: none.test\r\n\r\n',
    );
    const text = await client.until(/ 404 /);
    expect(text).toContain('GET /one HTTP');
    expect(text).not.toContain('GET /smuggled');
    client.socket.destroy();
  });

  it('does not pass h2c on, and carries the body of such a request', async () => {
    let upgrade: string | undefined = 'unset';
    const app = bench.cleanUp.add(
      await httpServer((incoming, response) => {
        upgrade = incoming.headers.upgrade;
        incoming.pipe(response);
      }),
    );
    await bench.serve({ s: { servers: [app] } });
    const headers = { host: 's.test', connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAEA' };
    const answer = await fetchText(bench.url, { method: 'POST', headers, body: 'posted' });
    expect(answer).toMatchObject({ status: 200, body: 'posted' });
    expect(upgrade).toBeUndefined();
  });
}
