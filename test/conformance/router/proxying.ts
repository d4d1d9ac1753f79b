import type { IncomingHttpHeaders } from 'node:http';
import { expect, it } from 'vitest';
import { exchange, fetchText, httpServer, rawClient, tcpServer } from '../../support/wire.ts';
import type { Bench } from '../router.suite.ts';

export function proxying(bench: Bench): void {
  /** An app that answers the headers it got. */
  const mirror = async () =>
    bench.cleanUp.add(
      await httpServer((request, response) => {
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify({ method: request.method, headers: request.headers, raw: request.rawHeaders }));
      }),
    );
  const seenWith = async (lines: string[], target = '/') => {
    const text = await exchange(
      bench.port,
      `GET ${target} HTTP/1.1\r\nHost: m.test\r\n${lines.map((line) => `${line}\r\n`).join('')}Connection: close\r\n\r\n`,
    );
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    return JSON.parse(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1)) as { headers: IncomingHttpHeaders };
  };

  it('keeps connections on both sides', async () => {
    const app = bench.cleanUp.add(await httpServer((request, response) => response.end(`<${request.url ?? ''}>`)));
    await bench.serve({ m: { servers: [app] } });
    /** How many the router has opened to the app for five requests that come in through one. */
    const opened = async (): Promise<number> => {
      const before = app.connections();
      const client = rawClient(bench.port);
      for (let i = 0; i < 5; i++) {
        client.write(`GET /${i} HTTP/1.1\r\nHost: m.test\r\n\r\n`);
        await client.until(new RegExp(`</${i}>$`));
      }
      client.socket.destroy();
      return app.connections() - before;
    };
    // One that has not been used for a second is closed: somebody may be held up for so long.
    await expect.poll(opened).toBeLessThan(2);
  });

  it('answers pipelined requests in order', async () => {
    const app = bench.cleanUp.add(await httpServer((request, response) => response.end(`<${request.url ?? ''}>`)));
    await bench.serve({ m: { servers: [app] } });
    const requests = Array.from(
      { length: 50 },
      (_, i) => `GET /${i} HTTP/1.1\r\nHost: ${i % 2 ? 'm' : 'no'}.test\r\n\r\n`,
    );
    const text = await exchange(bench.port, `${requests.join('')}GET /end HTTP/1.0\r\nHost: m.test\r\n\r\n`);
    const odd = Array.from({ length: 25 }, (_, i) => `</${2 * i + 1}>`);
    expect(text.match(/<\/\w+>/g)).toEqual([...odd, '</end>']);
    expect(text.match(/HTTP\/1.1 404/g)).toHaveLength(25);
  });

  it('says who asked in X-Forwarded-*', async () => {
    await bench.serve({ m: { servers: [await mirror()] } });
    const { headers } = await seenWith([]);
    expect(headers).toMatchObject({
      host: 'm.test',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'm.test',
      'x-forwarded-port': String(bench.port),
    });
    const behind = await seenWith([
      'X-Forwarded-For: 203.0.113.7',
      'X-Forwarded-Proto: https',
      'X_Forwarded_For: 6.6.6.6',
    ]);
    expect(behind.headers).toMatchObject({ 'x-forwarded-for': '203.0.113.7, 127.0.0.1', 'x-forwarded-proto': 'https' });
    expect(behind.headers).not.toHaveProperty('x_forwarded_for');
  });

  it('says in X-Real-IP whom it takes for the client, whatever the client says', async () => {
    await bench.serve({ m: { servers: [await mirror()] } });
    const realIp = async (...lines: string[]) => (await seenWith(lines)).headers['x-real-ip'];
    expect(await realIp()).toBe('127.0.0.1');
    expect(await realIp('X-Real-IP: 6.6.6.6')).toBe('127.0.0.1');
    expect(await realIp('X-REAL-IP: 6.6.6.6', 'X-Real-IP: 7.7.7.7')).toBe('127.0.0.1');
    // As in the access log: what the proxy in front has seen.
    expect(await realIp('X-Forwarded-For: 6.6.6.6, 203.0.113.7', 'X-Real-IP: 6.6.6.6')).toBe('203.0.113.7');
    const { headers } = await seenWith(['X_Real_IP: 6.6.6.6']);
    expect(headers).not.toHaveProperty('x_real_ip');
    expect(headers['x-real-ip']).toBe('127.0.0.1');
  });

  it('keeps a sane request id, replaces another, and tells the client', async () => {
    await bench.serve({ m: { servers: [await mirror()] } });
    expect((await seenWith(['X-Request-Id: abc-123'])).headers['x-request-id']).toBe('abc-123');
    const made = (await seenWith(['X-Request-Id: a b"c'])).headers['x-request-id'];
    expect(made).toMatch(/^[0-9a-f-]{32,36}$/);
    const answer = await fetchText(bench.url, { headers: { host: 'm.test', 'x-request-id': 'mine' } });
    expect(answer.headers['x-request-id']).toBe('mine');
  });

  it('takes hop-by-hop headers out, with those that Connection names, both ways', async () => {
    const app = bench.cleanUp.add(
      await httpServer((request, response) => {
        response.writeHead(200, { 'keep-alive': 'timeout=9', connection: 'x-hop', 'x-hop': '1', 'x-kept': '1' });
        response.end(JSON.stringify({ headers: request.headers }));
      }),
    );
    await bench.serve({ m: { servers: [app] } });
    const lines = [
      'Connection: X-Secret, x-forwarded-for',
      'X-Secret: 1',
      'Keep-Alive: 5',
      'Proxy-Connection: a',
      'TE: gzip',
    ];
    const { headers } = await seenWith([...lines, 'X-Stays: 1']);
    for (const gone of ['x-secret', 'keep-alive', 'proxy-connection', 'te']) expect(headers).not.toHaveProperty(gone);
    expect(headers).toMatchObject({ 'x-stays': '1', 'x-forwarded-for': '127.0.0.1' });
    const answer = await fetchText(bench.url, { headers: { host: 'm.test' } });
    expect(answer.headers).toMatchObject({ 'x-kept': '1' });
    expect(answer.headers).not.toHaveProperty('x-hop');
    expect(answer.headers['keep-alive']).not.toBe('timeout=9');
  });

  it('passes repeated headers and odd bytes on as they are', async () => {
    const app = bench.cleanUp.add(
      await tcpServer((socket) =>
        socket.once('data', (data) => {
          const got = data.toString('latin1');
          const ok = got.includes('X-Odd: caf\xe9\r\n') && got.includes('A: 1\r\nA: 2\r\n');
          socket.end(
            `HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Odd: \xfc\r\nContent-Length: 2\r\n\r\n${ok ? 'ok' : 'no'}`,
            'latin1',
          );
        }),
      ),
    );
    await bench.serve({ m: { servers: [app] } });
    const text = await exchange(
      bench.port,
      Buffer.from(
        'GET / HTTP/1.1\r\nHost: m.test\r\nX-Odd: caf\xe9\r\nA: 1\r\nA: 2\r\nConnection: close\r\n\r\n',
        'latin1',
      ),
    );
    expect(text).toContain('Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Odd: \xfc\r\n');
    expect(text.endsWith('ok')).toBe(true);
  });

  it('answers HEAD, 204 and 304 without a body and keeps the connection in step', async () => {
    const app = bench.cleanUp.add(
      await httpServer((request, response) => {
        if (request.url === '/204') response.writeHead(204).end();
        else if (request.url === '/304') response.writeHead(304, { etag: '"x"' }).end();
        else response.writeHead(200, { 'content-length': 5 }).end(request.method === 'HEAD' ? undefined : 'hello');
      }),
    );
    await bench.serve({ m: { servers: [app] } });
    const one = (method: string, path: string) => `${method} ${path} HTTP/1.1\r\nHost: m.test\r\n\r\n`;
    const client = rawClient(bench.port);
    client.write(one('HEAD', '/') + one('GET', '/204') + one('GET', '/304') + one('GET', '/'));
    const text = await client.until(/hello$/);
    client.socket.destroy();
    expect(text.match(/HTTP\/1\.1 (\d+)/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 204', 'HTTP/1.1 304', 'HTTP/1.1 200']);
    expect(text.match(/Content-Length: 5/gi)).toHaveLength(2);
  });

  it('speaks HTTP/1.0 to clients that do', async () => {
    const app = bench.cleanUp.add(
      await httpServer((_request, response) => void (response.write('a'), response.end('b'))),
    );
    await bench.serve({ m: { servers: [app] } });
    const text = await exchange(bench.port, 'GET / HTTP/1.0\r\nHost: m.test\r\n\r\n');
    expect(text).not.toMatch(/transfer-encoding/i);
    expect(text.endsWith('\r\n\r\nab')).toBe(true);
  });

  it('writes an access log without query strings', async () => {
    await bench.serve({ m: { servers: [await mirror()] } });
    const headers = { host: 'm.test', 'x-request-id': 'logged-1' };
    await fetchText(`${bench.url}/path?token=secret`, { headers, method: 'POST', body: 'x' });
    const find = async () => (await bench.made.accessLog('app_m.log')).find((line) => line.request_id === 'logged-1');
    await expect.poll(find).toMatchObject({
      instance: 'web.1', release: '1', method: 'POST', host: 'm.test', path: '/path', status: '200',
    }); // prettier-ignore
    expect(JSON.stringify(await find())).not.toContain('secret');
  });
}
