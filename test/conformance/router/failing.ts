import { expect, it } from 'vitest';
import {
  eventually,
  exchange,
  fetchText,
  freePort,
  httpServer,
  keepAliveAgent,
  rawClient,
  tcpServer,
} from '../../support/wire.ts';
import type { Bench } from '../router.suite.ts';

export function failing(bench: Bench): void {
  const get = (host: string) => fetchText(bench.url, { headers: { host } });
  const post = (host: string, body: string) => fetchText(bench.url, { method: 'POST', headers: { host }, body });

  /** An app that is to begin its answers within 1 s; all others have the usual minute, since a test may be held up. */
  const quick = { limits: { responseMs: 1000 } };

  it('goes to another instance when one refuses the connection, bodies included', async () => {
    const bodies: string[] = [];
    const app = bench.cleanUp.add(
      await httpServer((request, response) => {
        request.on('data', (part: Buffer) => bodies.push(part.toString())).on('end', () => response.end('ok'));
      }),
    );
    await bench.serve({ f: { servers: [{ port: await freePort() }, app, { port: await freePort() }] } });
    for (let i = 0; i < 20; i++) expect(await post('f.test', `body ${i}`)).toMatchObject({ status: 200 });
    expect(bodies).toEqual(Array.from({ length: 20 }, (_, i) => `body ${i}`));
  });

  it('answers 502 when every instance refuses', async () => {
    await bench.serve({ f: { servers: [{ port: await freePort() }] } });
    const answer = await get('f.test');
    expect(answer.status).toBe(502);
    expect(answer.body).toMatch(
      /web\.1 of default\/dev\/f does not accept connections[^]*paas logs --instance web\.1 -a f/,
    );
  });

  it.each(['GET', 'POST'])('never sends a %s again once it was sent', async (method) => {
    let requests = 0;
    const breaking = () => tcpServer((socket) => socket.once('data', () => (requests++, socket.destroy())));
    const servers = [bench.cleanUp.add(await breaking()), bench.cleanUp.add(await breaking())];
    await bench.serve({ f: { servers } });
    const answer = await fetchText(bench.url, {
      method,
      headers: { host: 'f.test' },
      ...(method === 'POST' && { body: 'pay' }),
    });
    expect(answer.status).toBe(502);
    expect(requests).toBe(1);
  });

  it('never sends a request again that broke on a kept connection', async () => {
    let posts = 0;
    let kept = false;
    const app = bench.cleanUp.add(
      await tcpServer((socket) => {
        let asked = 0;
        socket.on('data', (data) => {
          asked++;
          if (data.includes('POST')) {
            posts++;
            kept = asked > 1;
            socket.destroy();
          } else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
        });
      }),
    );
    await bench.serve({ f: { servers: [app] } });
    // Where somebody is held up for a second, the connection is closed, and the second request gets a new one.
    await eventually('a second request on the connection of the first', async () => {
      posts = 0;
      const agent = keepAliveAgent(1);
      await fetchText(bench.url, { agent, headers: { host: 'f.test' } });
      const answer = await fetchText(bench.url, { agent, method: 'POST', headers: { host: 'f.test' }, body: 'pay' });
      agent.destroy();
      expect(answer.status).toBe(502);
      expect(answer.body).toContain('may have been carried out');
      expect(posts).toBe(1);
      return kept;
    });
  });

  it('does not use a kept connection that the app has closed', async () => {
    const app = bench.cleanUp.add(await httpServer((_request, response) => response.end('ok')));
    await bench.serve({ f: { servers: [app] } });
    for (let i = 0; i < 5; i++) {
      expect(await post('f.test', 'x')).toMatchObject({ status: 200 });
      const open = [...app.sockets];
      open.forEach((socket) => socket.end());
      await eventually('the router to close its side', () => open.every((socket) => socket.destroyed));
    }
  });

  it('answers 504 when no answer comes in time, and the app is told', async () => {
    let gone = false;
    const app = bench.cleanUp.add(
      await httpServer((_request, response) => void response.on('close', () => (gone = true))),
    );
    await bench.serve({ f: { servers: [app], settings: quick } });
    const answer = await get('f.test');
    expect(answer.status).toBe(504);
    expect(answer.body).toContain('did not begin to answer within 1 s');
    await expect.poll(() => gone).toBe(true);
  });

  it('does not time out a response that has begun, however slow', async () => {
    let release: (() => void) | undefined;
    const app = bench.cleanUp.add(
      await httpServer((_request, response) => {
        response.write('begun ');
        release = () => response.end('ended');
      }),
    );
    // A second request runs into the time-out, so that one certainly has passed.
    const other = bench.cleanUp.add(await httpServer(() => undefined));
    await bench.serve({ f: { servers: [app], settings: quick }, g: { servers: [other], settings: quick } });
    let client = rawClient(bench.port);
    const begins = async (): Promise<boolean> => {
      client.write('GET / HTTP/1.1\r\nHost: f.test\r\n\r\n');
      if (!(await client.until(/begun | 504 /)).includes(' 504 ')) return true;
      client.socket.destroy();
      client = rawClient(bench.port);
      return false;
    };
    await eventually('an answer that begins in time', begins);
    expect((await get('g.test')).status).toBe(504);
    release!();
    expect(await client.until(/ended/)).toMatch(/ended/);
    client.socket.destroy();
  });

  it('breaks the response off where the app broke it off', async () => {
    const app = bench.cleanUp.add(
      await tcpServer((socket) =>
        socket.once('data', () => {
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf', () => socket.destroy());
        }),
      ),
    );
    await bench.serve({ f: { servers: [app] } });
    await expect(get('f.test')).rejects.toThrow(/aborted|hang up|ECONNRESET/);
  });

  const contradicting = [
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
    ['length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ];
  it.each([
    ['no HTTP', 'hello\r\n\r\n'],
    ...(bench.lacks.includes('framing') ? [] : contradicting),
    ['a broken header', 'HTTP/1.1 200 OK\r\nno colon\r\n\r\n'],
    ['an endless header', `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(50_000)}`],
    ['a switch nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'],
  ])('answers 502 to an app that sends %s', async (_what, text) => {
    const app = bench.cleanUp.add(await tcpServer((socket) => socket.once('data', () => socket.write(text))));
    await bench.serve({ f: { servers: [app] } });
    const answer = await get('f.test');
    expect(answer.status).toBe(502);
    expect(answer.body).toContain('not valid HTTP');
  });

  it('does not give bytes behind a response to the next request', async () => {
    const app = bench.cleanUp.add(
      await tcpServer((socket) =>
        socket.on('data', () =>
          socket.write(
            'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil',
          ),
        ),
      ),
    );
    await bench.serve({ f: { servers: [app] } });
    for (let i = 0; i < 3; i++) expect((await get('f.test')).body).toBe('ok');
    expect(app.connections()).toBe(3);
  });

  it('takes a response that ends with its connection', async () => {
    const app = bench.cleanUp.add(
      await tcpServer((socket) => socket.once('data', () => socket.end('HTTP/1.0 200 OK\r\n\r\nall there is'))),
    );
    await bench.serve({ f: { servers: [app] } });
    expect(await get('f.test')).toMatchObject({ status: 200, body: 'all there is' });
    expect(await exchange(bench.port, 'GET / HTTP/1.0\r\nHost: f.test\r\n\r\n')).toMatch(/all there is$/);
  });
}
