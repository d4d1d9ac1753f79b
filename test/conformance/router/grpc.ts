import { once } from 'node:events';
import { constants, type ClientHttp2Session, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { expect, it } from 'vitest';
import { certificateFor, trusted } from '../../support/certificates.ts';
import {
  answerOf,
  ask,
  http2Client,
  http2Server,
  http2StatusServer,
  type TestHttp2Server,
} from '../../support/http2.ts';
import { fetchText, freePort, httpServer } from '../../support/wire.ts';
import type { Bench } from '../router.suite.ts';

/** Instances that speak HTTP/2 without TLS, as gRPC servers do. */
export function grpc(bench: Bench): void {
  const open = async () => (await bench.made.router.observe()).open;
  const call = {
    ':authority': 'g.test',
    ':method': 'POST',
    ':path': '/shop.Carts/Add',
    'content-type': 'application/grpc',
    te: 'trailers',
  };
  const instance = async (act: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void) =>
    bench.cleanUp.add(await http2Server(act));

  async function serve(servers: { port: number }[]): Promise<string> {
    const certificates = [await certificateFor('g.test')];
    const { tlsUrl } = await bench.serve({ g: { servers, protocol: 'h2c' } }, { certificates });
    return tlsUrl!;
  }
  async function connected(...servers: { port: number }[]): Promise<ClientHttp2Session> {
    const session = await http2Client(await serve(servers), await trusted(), 'g.test');
    return bench.cleanUp.add({ close: () => session.destroy(), session }).session;
  }
  /** Answers each message with itself, and a status in the trailers. */
  const echo = (): Promise<TestHttp2Server> =>
    instance((stream, headers) => {
      stream.respond({ 'content-type': 'application/grpc', 'x-te': headers.te ?? '' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': 'fine' }));
      stream.pipe(stream);
    });

  it('carries a unary call with its trailers', async () => {
    const session = await connected(await echo());
    const answer = await ask(session, call, Buffer.from('\0\0\0\0\x02hi', 'latin1'));
    expect(answer.headers).toMatchObject({ ':status': 200, 'content-type': 'application/grpc', 'x-te': 'trailers' });
    expect(answer.body.toString('latin1')).toBe('\0\0\0\0\x02hi');
    expect(answer.trailers).toMatchObject({ 'grpc-status': '0', 'grpc-message': 'fine' });
  });

  it('carries an answer that is nothing but trailers', async () => {
    const failing = await instance((stream) => {
      stream.resume();
      stream.respond({ 'content-type': 'application/grpc', 'grpc-status': '12' }, { endStream: true });
    });
    const session = await connected(failing);
    const answer = await ask(session, call, 'x');
    expect(answer.headers).toMatchObject({ ':status': 200, 'grpc-status': '12' });
  });

  it('streams both ways at once, and counts the stream as open', async () => {
    const session = await connected(await echo());
    const stream = session.request(call, { endStream: false });
    const answer = answerOf(stream);
    for (const message of ['one', 'two', 'three']) {
      const echoed = once(stream, 'data') as Promise<[Buffer]>;
      stream.write(message);
      expect((await echoed)[0].toString()).toBe(message);
      await expect.poll(open).toEqual({ 'g-0': 1 });
    }
    stream.end();
    expect((await answer).trailers['grpc-status']).toBe('0');
    await expect.poll(open).toEqual({});
  });

  it('tells the instance that a client cancelled', async () => {
    const codes: number[] = [];
    const waiting = await instance((stream) => {
      stream.respond({ 'content-type': 'application/grpc' });
      stream.write('first');
      stream.on('close', () => codes.push(stream.rstCode));
    });
    const session = await connected(waiting);
    const stream = session.request(call, { endStream: false });
    stream.on('error', () => undefined);
    await once(stream, 'data');
    stream.close(constants.NGHTTP2_CANCEL);
    await expect.poll(() => codes).toHaveLength(1);
    await expect.poll(open).toEqual({});
  });

  it('carries many calls at a time', async () => {
    const session = await connected(await echo());
    const answers = await Promise.all(Array.from({ length: 120 }, (_, n) => ask(session, call, `message ${n}`)));
    expect(answers.map(({ body }) => body.toString())).toEqual(answers.map((_, n) => `message ${n}`));
    expect(answers.every(({ trailers }) => trailers['grpc-status'] === '0')).toBe(true);
  });

  it('carries 4 MB both ways, byte for byte', async () => {
    const session = await connected(await echo());
    const body = Buffer.alloc(4 * 1024 * 1024, '0123456789abcdef!');
    expect((await ask(session, call, body)).body.equals(body)).toBe(true);
  });

  it('goes to another instance where one does not accept connections', async () => {
    const session = await connected({ port: await freePort() }, await echo());
    for (let n = 0; n < 5; n++) expect((await ask(session, call, 'x')).status).toBe(200);
  });

  it('answers 502 for an instance that does not speak HTTP/2', async () => {
    const session = await connected(bench.cleanUp.add(await httpServer((_request, response) => response.end('no'))));
    expect((await ask(session, call, 'x')).status).toBe(502);
  });

  it.each([true, false])('answers 502 for a status that is none (with its head alone: %s)', async (ended) => {
    for (const status of ['099', '000', '101']) {
      const session = await connected(bench.cleanUp.add(await http2StatusServer(status, ended)));
      for (const what of [call, { ...call, ':method': 'GET' }]) expect((await ask(session, what)).status).toBe(502);
      const answer = await fetchText(bench.url, { headers: { host: 'g.test' } });
      expect(answer.status).toBe(502);
    }
    const session = await connected(await echo());
    expect((await ask(session, call, 'x')).status).toBe(200);
  });

  it('lets calls under way go on when their instance leaves the table, and sends it no more', async () => {
    const names: string[] = [];
    const named = (name: string) =>
      instance((stream) => {
        names.push(name);
        stream.respond({ 'content-type': 'application/grpc' });
        stream.pipe(stream);
      });
    const old = await named('old');
    const session = await connected(old);
    const stream = session.request(call, { endStream: false });
    stream.write('1');
    await once(stream, 'data');
    const next = await named('new');
    await bench.serve(
      { n: { servers: [next], routes: ['g.test'], protocol: 'h2c' } },
      { certificates: [await certificateFor('g.test')] },
    );
    await ask(session, call, 'x');
    expect(names).toEqual(['old', 'new']);
    await expect.poll(open).toEqual({ 'g-0': 1 });
    const answer = answerOf(stream);
    stream.end('2');
    expect((await answer).body.toString()).toBe('2');
    await expect.poll(open).toEqual({});
    await expect.poll(() => old.sessions.size).toBe(0);
  });

  it('serves clients that speak HTTP/1.1, too', async () => {
    const app = await instance((stream, headers) => {
      stream.respond({ ':status': 201, 'x-host': headers[':authority'] ?? headers.host, 'x-path': headers[':path'] });
      stream.pipe(stream);
    });
    await serve([app]);
    const answer = await fetchText(`${bench.url}/p?q=1`, { method: 'POST', body: 'body', headers: { host: 'g.test' } });
    expect(answer).toMatchObject({ status: 201, body: 'body' });
    expect(answer.headers).toMatchObject({ 'x-host': 'g.test', 'x-path': '/p?q=1' });
  });
}
