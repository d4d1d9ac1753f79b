import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { constants, type ClientHttp2Session } from 'node:http2';
import { expect, it } from 'vitest';
import type { Limits } from '../../../src/shared/contracts/routes.ts';
import { certificateFor, trusted } from '../../support/certificates.ts';
import { answerOf, ask, http2Client } from '../../support/http2.ts';
import { httpServer, type TestServer } from '../../support/wire.ts';
import type { Bench } from '../router.suite.ts';

/** Clients that speak HTTP/2, over TLS as browsers do; instances speak HTTP/1.1. */
export function http2(bench: Bench): void {
  const echo = async (): Promise<TestServer> =>
    bench.cleanUp.add(await httpServer((incoming, response) => void incoming.pipe(response)));
  const open = async () => (await bench.made.router.observe()).open;
  const to = { ':authority': 's.test' };
  const post = { ...to, ':method': 'POST' };

  /** Puts the app in force and connects. */
  async function connected(server: TestServer, limits?: Limits): Promise<ClientHttp2Session> {
    const certificates = [await certificateFor('s.test')];
    const { tlsUrl } = await bench.serve(
      { s: { servers: [server], ...(limits && { settings: { limits } }) } },
      { certificates },
    );
    const session = await http2Client(tlsUrl!, await trusted(), 's.test');
    expect(session.alpnProtocol).toBe('h2');
    return bench.cleanUp.add({ close: () => session.destroy(), session }).session;
  }

  it('carries requests as they are', async () => {
    const server = bench.cleanUp.add(
      await httpServer((incoming, response) => {
        const { method, url, headers, httpVersion } = incoming;
        response.writeHead(201, {
          'x-a': ['1', '2'],
          'set-cookie': ['a=1', 'b=2'],
          connection: 'close, x-hop',
          'x-hop': '1',
        });
        response.end(JSON.stringify({ method, url, headers, httpVersion }));
      }),
    );
    const session = await connected(server);
    const { status, headers, body } = await ask(session, {
      ...to,
      ':path': '/a%20b?q=1',
      cookie: ['one=1', 'two=2'],
      'x-custom': 'é',
    });
    const seen = JSON.parse(body.toString()) as { headers: Record<string, string> };
    expect(status).toBe(201);
    expect(headers).toMatchObject({ 'x-a': '1, 2', 'set-cookie': ['a=1', 'b=2'] });
    expect(headers['x-hop']).toBeUndefined();
    expect(headers['x-request-id']).toMatch(/\w/);
    expect(seen).toMatchObject({ method: 'GET', url: '/a%20b?q=1', httpVersion: '1.1' });
    expect(seen.headers).toMatchObject({ host: 's.test', cookie: 'one=1; two=2', 'x-forwarded-proto': 'https' });
  });

  it('answers HEAD, empty and unknown', async () => {
    const server = bench.cleanUp.add(
      await httpServer((incoming, response) => {
        if (incoming.url === '/none') response.writeHead(204).end();
        else response.writeHead(200, { 'content-length': 5 }).end(incoming.method === 'HEAD' ? '' : 'hello');
      }),
    );
    const session = await connected(server);
    const head = await ask(session, { ...to, ':method': 'HEAD' });
    expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, '5', 0]);
    expect((await ask(session, { ...to, ':path': '/none' })).status).toBe(204);
    const unknown = await ask(session, { ':authority': 'unknown.test', accept: 'application/json' });
    expect([unknown.status, unknown.headers['x-router-error']]).toEqual([404, 'no-route']);
    expect((await ask(session, { ...to })).body.toString()).toBe('hello');
  });

  it('carries 8 MB both ways, byte for byte', async () => {
    const session = await connected(await echo());
    const body = randomBytes(8 * 1024 * 1024);
    const answer = await ask(session, post, body);
    expect(answer.status).toBe(200);
    const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
    expect(hash(answer.body)).toBe(hash(body));
  });

  it('carries a hundred requests at a time on one connection', async () => {
    const waiting: ServerResponse[] = [];
    const server = bench.cleanUp.add(
      await httpServer((incoming, response) => {
        response.setHeader('x-url', incoming.url ?? '');
        waiting.push(response);
        if (waiting.length === 100) for (const each of waiting) each.end('x'.repeat(10_000));
      }),
    );
    const session = await connected(server);
    const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => ask(session, { ...to, ':path': `/${n}` })));
    expect(answers.map(({ headers }) => headers['x-url'])).toEqual(Array.from({ length: 100 }, (_, n) => `/${n}`));
    expect(answers.every(({ body }) => body.length === 10_000)).toBe(true);
    await expect.poll(open).toEqual({});
  });

  it('ends the request at the app when the client resets its stream, and keeps the connection', async () => {
    let gone = 0;
    const server = bench.cleanUp.add(
      await httpServer((incoming, response) => {
        if (incoming.url === '/fast') response.end('ok');
        else response.write('first');
        response.on('close', () => gone++);
      }),
    );
    const session = await connected(server);
    const stream = session.request(to);
    stream.on('error', () => undefined);
    await once(stream, 'data');
    await expect.poll(open).toEqual({ 's-0': 1 });
    stream.close(constants.NGHTTP2_CANCEL);
    await expect.poll(() => gone).toBe(1);
    await expect.poll(open).toEqual({});
    expect((await ask(session, { ...to, ':path': '/fast' })).body.toString()).toBe('ok');
  });

  it('gives server-sent events on as they come', async () => {
    let response: ServerResponse | undefined;
    const server = bench.cleanUp.add(
      await httpServer((_request, outgoing) => {
        outgoing.writeHead(200, { 'content-type': 'text/event-stream' });
        outgoing.write('data: 1\n\n');
        response = outgoing;
      }),
    );
    const session = await connected(server);
    const stream = session.request({ ...to, accept: 'text/event-stream' });
    for (let n = 1; n <= 3; n++) {
      const [event] = (await once(stream, 'data')) as [Buffer];
      expect(event.toString()).toBe(`data: ${n}\n\n`);
      response!.write(`data: ${n + 1}\n\n`);
    }
    response!.end();
    stream.resume();
    await once(stream, 'close');
  });

  it('tells a client by a reset that a response broke off', async () => {
    const server = bench.cleanUp.add(
      await httpServer((_request, response) => {
        response.writeHead(200, { 'content-length': 100 });
        response.write('half', () => setTimeout(() => response.destroy(), 20));
      }),
    );
    const session = await connected(server);
    await expect(ask(session, to)).rejects.toThrow();
    expect((await ask(session, { ':authority': 'unknown.test' })).status).toBe(404);
  });

  it('gives an early answer while the upload goes on', async () => {
    const server = bench.cleanUp.add(
      await httpServer((_request, response) => void response.writeHead(413).end('too much')),
    );
    const session = await connected(server);
    const stream = session.request(post);
    stream.on('error', () => undefined);
    stream.write(Buffer.alloc(100_000));
    const answer = await answerOf(stream);
    expect([answer.status, answer.body.toString()]).toEqual([413, 'too much']);
    expect((await ask(session, { ':authority': 'unknown.test' })).status).toBe(404);
  });

  it('times out an instance that does not answer', async () => {
    const server = bench.cleanUp.add(await httpServer(() => undefined));
    const session = await connected(server, { responseMs: 1000 });
    const { status, headers } = await ask(session, to);
    expect([status, headers['x-router-error']]).toEqual([504, 'instance-timeout']);
  });

  it.each([['8'], [undefined]])(
    'waits for a client that pauses in the middle of a body, of length %s',
    async (length) => {
      const server = bench.cleanUp.add(
        await httpServer((incoming, response) => {
          if (incoming.url === '/') incoming.pipe(response);
          else incoming.resume().on('error', () => undefined);
        }),
      );
      const session = await connected(server, { responseMs: 1000 });
      const headers = { ...post, ...(length !== undefined && { 'content-length': length }) };
      const paused = session.request(headers);
      const answer = answerOf(paused);
      paused.write('0123');
      // Others that say how long they are time out meanwhile.
      const never = { ...post, ':path': '/never', 'content-length': '4' };
      for (let i = 0; i < 2; i++) expect((await ask(session, never, 'body')).status).toBe(504);
      paused.end('4567');
      expect((await answer).body.toString()).toBe('01234567');
    },
  );

  it('writes access lines and counts', async () => {
    const session = await connected(await echo());
    await ask(session, { ...post, ':path': '/line' }, 'body');
    const line = async () => (await bench.made.accessLog('app_s.log')).find(({ path }) => path === '/line');
    await expect
      .poll(line)
      .toMatchObject({ method: 'POST', host: 's.test', status: '200', bytes: '4', instance: 'web.1' });
  });
}
