import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { Client, openSession } from '../../../../src/cli/client/index.ts';
import { uploadTransport } from '../../../../src/cli/client/upload.ts';
import { PaasError } from '../../../../src/shared/errors.ts';
import { createMemoryNonceStore, verifyRequest } from '../../../../src/shared/signing/index.ts';
import { credentials, hangUp, json, startPlatform, type FakePlatform } from './platform.ts';

let platform: FakePlatform;
let client: Client;
beforeEach(async () => {
  platform = await startPlatform(json({}));
  client = new Client({ url: platform.url, ...credentials });
});
afterEach(async () => {
  client.close();
  await platform.stop();
});

describe('a session', () => {
  it('is a signed WebSocket that loses nothing of what comes first', async () => {
    const sockets = new WebSocketServer({ noServer: true });
    const nonces = createMemoryNonceStore();
    platform.server.on('upgrade', (request, socket, head) => {
      const { method = '', url = '', headers } = request;
      void verifyRequest({ method, url, headers }, { lookup: () => credentials.keySecret, nonces }).then(() => {
        sockets.handleUpgrade(request, socket, head, (opened) => opened.send(`hello on ${url}`));
      });
    });
    const session = await openSession(client, '/v1/sessions/s1?x=1');
    await new Promise(setImmediate);
    const message = once(session, 'message');
    session.resume();
    expect(String((await message)[0])).toBe('hello on /v1/sessions/s1?x=1');
    const closed = once(session, 'close');
    session.close();
    for (const socket of sockets.clients) socket.terminate();
    await closed;
    sockets.close();
  });

  it('that is refused says why', async () => {
    platform.server.on('upgrade', (_request, socket) => {
      const body = JSON.stringify({ error: new PaasError('not_found', 'no such session') });
      socket.end(
        `HTTP/1.1 404 Not Found\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
      );
    });
    await expect(openSession(client, '/v1/sessions/s1')).rejects.toMatchObject({ code: 'not_found', exit: 5 });
    await platform.stop();
    await expect(openSession(client, '/v1/sessions/s1')).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('that is not answered can be interrupted', async () => {
    const interrupt = new AbortController();
    platform.server.on('upgrade', () => interrupt.abort());
    await expect(openSession(client, '/v1/s', interrupt.signal)).rejects.toMatchObject({ code: 'interrupted' });
  });
});

describe('the upload transport', () => {
  it('speaks the API of uploads', async () => {
    const transport = uploadTransport(client);
    const digest = 'a'.repeat(64);
    const answers: Record<string, unknown> = {
      'POST /v1/missing': { missing: [digest] },
      'POST /v1/uploads': { id: 'u/1', offset: 0 },
      'PUT /v1/uploads/u%2F1?offset=5': { offset: 8 },
      'GET /v1/uploads/u%2F1': { offset: 8, finished: false },
      'POST /v1/uploads/u%2F1/finish': {},
    };
    platform.handle((seen, response) => json(answers[`${seen.method} ${seen.url}`])(seen, response));
    expect(await transport.missing([digest])).toEqual([digest]);
    expect(await transport.beginUpload(8)).toEqual({ id: 'u/1', offset: 0 });
    expect(await transport.putChunk('u/1', 5, Buffer.from('abc'))).toEqual({ offset: 8 });
    expect(await transport.status('u/1')).toEqual({ offset: 8, finished: false });
    await transport.finish('u/1');
    expect(platform.seen.map(({ body }) => body)).toEqual([`{"digests":["${digest}"]}`, '{"bytes":8}', 'abc', '', '']);
  });

  it('leaves repeating to its caller', async () => {
    platform.handle(hangUp);
    await expect(uploadTransport(client).putChunk('u', 0, Buffer.from('x'))).rejects.toMatchObject({
      code: 'outcome_unknown',
    });
    expect(platform.seen).toHaveLength(1);
  });
});
