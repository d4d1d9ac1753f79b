import { createServer } from 'node:net';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import * as z from 'zod/mini';
import { Client } from '../../../../src/cli/client/index.ts';
import { PaasError } from '../../../../src/shared/errors.ts';
import { credentials, hangUp, json, startPlatform, type FakePlatform } from './platform.ts';

let platform: FakePlatform;
let client: Client;
beforeEach(async () => {
  platform = await startPlatform(json({ ok: true }));
  client = new Client({ url: platform.url, ...credentials });
});
afterEach(async () => {
  vi.useRealTimers();
  client.close();
  await platform.stop();
});

describe('a request', () => {
  it('is signed, with its query and its body as JSON', async () => {
    const path = `/v1/projects/${encodeURIComponent('a b/ü')}/apps`;
    const query = { n: 3, all: true, none: undefined, grep: 'x&y=ü' };
    await client.request({ method: 'GET', path, query });
    await client.request({ method: 'POST', path: '/v1/apps', body: { name: 'shop' } });
    await client.request({ method: 'PUT', path: '/v1/bytes', body: Buffer.from('raw') });
    await client.request({ method: 'DELETE', path: '/v1/routes', body: { route: 'a' } });
    expect(platform.seen.map(({ method, url, body }) => `${method} ${url} ${body}`)).toEqual([
      'GET /v1/projects/a%20b%2F%C3%BC/apps?n=3&all=true&grep=x%26y%3D%C3%BC ',
      'POST /v1/apps {"name":"shop"}',
      'PUT /v1/bytes raw',
      'DELETE /v1/routes {"route":"a"}',
    ]);
    expect(platform.seen[2]!.headers['content-type']).toBe('application/octet-stream');
    expect(platform.seen.map(({ headers }) => headers['idempotency-key'] !== undefined)).toEqual([
      false,
      true,
      true,
      true,
    ]);
  });

  it('keeps a path prefix of the platform', async () => {
    const prefixed = new Client({ url: `${platform.url}/paas`, ...credentials });
    await prefixed.request({ method: 'GET', path: '/v1/apps' });
    expect(platform.seen[0]!.url).toBe('/paas/v1/apps');
    prefixed.close();
  });

  it('answers what the schema makes of it, and undefined for nothing', async () => {
    const schema = z.object({ ok: z.boolean() });
    expect(await client.request({ method: 'GET', path: '/', schema })).toEqual({ ok: true });
    await expect(client.request({ method: 'GET', path: '/', schema: z.object({ n: z.int() }) })).rejects.toMatchObject({
      code: 'bad_request',
    });
    platform.handle((_seen, response) => response.writeHead(204).end());
    expect(await client.request({ method: 'DELETE', path: '/' })).toBeUndefined();
  });

  it('throws what the server says', async () => {
    const body = { code: 'conflict', message: 'taken', hint: 'choose another', details: { name: 'shop' } };
    platform.handle(json({ error: body }, 409));
    await expect(client.request({ method: 'POST', path: '/' })).rejects.toMatchObject({ ...body, exit: 6 });
    expect(platform.seen).toHaveLength(1);
  });

  it('says when something else than a platform answers', async () => {
    platform.handle((_seen, response) => {
      response.writeHead(404, { 'Content-Type': 'text/html' }).end('<h1>nginx</h1>');
    });
    const wrong = client.request({ method: 'GET', path: '/', patienceMs: 0 });
    await expect(wrong).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('text/html') });
    platform.handle((_seen, response) => response.end('<h1>portal</h1>'));
    await expect(client.request({ method: 'GET', path: '/', patienceMs: 0 })).rejects.toThrow('HTTP 200');
  });

  it('shows that the versions differ', async () => {
    expect(client.versionMismatch).toBeNull();
    await client.request({ method: 'GET', path: '/' });
    expect(client.versionMismatch).toMatchObject({ server: '9.9.9' });
  });

  it('tells about a wrong clock and a wrong key with exit 4', async () => {
    await platform.stop();
    platform = await startPlatform(json({}), undefined, () => Date.now() + 600_000);
    const behind = new Client({ url: platform.url, ...credentials });
    await expect(behind.request({ method: 'GET', path: '/' })).rejects.toMatchObject({
      code: 'clock_skew',
      exit: 4,
      message: expect.stringMatching(/^the clock of this machine is 10 min.* behind the server's$/),
    });
    const stranger = new Client({ url: platform.url, keyId: 'key_other', keySecret: 'x' });
    await expect(stranger.request({ method: 'GET', path: '/' })).rejects.toMatchObject({
      code: 'not_authenticated',
      exit: 4,
    });
    behind.close();
    stranger.close();
  });
});

describe('a connection that breaks', () => {
  it('is made again with the same key of idempotency and a new signature', async () => {
    let breaks = 2;
    platform.handle((seen, response) => {
      if (breaks-- > 0) hangUp(seen, response);
      else json({ done: true })(seen, response);
    });
    expect(await client.request({ method: 'POST', path: '/v1/apps', body: { a: 1 } })).toEqual({ done: true });
    const keys = platform.seen.map(({ headers }) => headers['idempotency-key']);
    expect(keys).toHaveLength(3);
    expect(new Set(keys).size).toBe(1);
    expect(new Set(platform.seen.map(({ headers }) => headers['signature'])).size).toBe(3);
  });

  it('waits while the first attempt is still being carried out', async () => {
    const answers = [hangUp, json({ error: new PaasError('locked', 'under way') }, 423), json({ n: 1 })];
    platform.handle((seen, response) => answers.shift()!(seen, response));
    expect(await client.request({ method: 'POST', path: '/' })).toEqual({ n: 1 });
  });

  it('does not wait for a lock that others hold', async () => {
    platform.handle(json({ error: new PaasError('locked', 'a rollout is under way') }, 423));
    await expect(client.request({ method: 'POST', path: '/' })).rejects.toMatchObject({ code: 'locked' });
    expect(platform.seen).toHaveLength(1);
  });

  it('leaves the outcome of a change unknown, and makes a question unavailable', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    platform.handle((seen, response) => {
      // Each time the third attempt is the last.
      if (platform.seen.length % 3 === 0) vi.setSystemTime(Date.now() + 60_000);
      hangUp(seen, response);
    });
    await expect(client.request({ method: 'POST', path: '/' })).rejects.toMatchObject({
      code: 'outcome_unknown',
      exit: 10,
    });
    await expect(client.request({ method: 'GET', path: '/' })).rejects.toMatchObject({ code: 'unavailable' });
    expect(platform.seen.map(({ method }) => method)).toEqual(['POST', 'POST', 'POST', 'GET', 'GET', 'GET']);
  });

  it('survives a restart of the platform between question and answer', async () => {
    const restarted: Promise<unknown>[] = [];
    platform.handle((seen, response) => {
      hangUp(seen, response);
      const { port } = platform;
      restarted.push(
        platform.stop().then(async () => {
          platform = await startPlatform(json({ back: true }), port);
        }),
      );
    });
    expect(await client.request({ method: 'POST', path: '/' })).toEqual({ back: true });
    await Promise.all(restarted);
  });

  it('is waited for also where it is refused, by whoever has been answered before', async () => {
    // No connection is kept that could be found broken first.
    platform.server.maxRequestsPerSocket = 1;
    await client.request({ method: 'GET', path: '/' });
    const { port } = platform;
    await platform.stop();
    await expect(client.request({ method: 'POST', path: '/', patienceMs: 0 })).rejects.toMatchObject({
      code: 'unavailable',
    });
    const back = sleep(300).then(async () => (platform = await startPlatform(json({ back: true }), port)));
    const [answer] = await Promise.all([client.request({ method: 'POST', path: '/' }), back]);
    expect(answer).toEqual({ back: true });
  });

  it('is waited for from when it broke, however long the request took until then', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    platform.handle((_seen, response) => {
      vi.setSystemTime(Date.now() + 60_000);
      response.destroy();
      platform.handle(json({ n: 1 }));
    });
    expect(await client.request({ method: 'POST', path: '/' })).toEqual({ n: 1 });
  });

  it('is told from an answer that was cut short', async () => {
    platform.handle((_seen, response) => {
      response.writeHead(200, { 'Content-Length': '100' }).write('{"half":');
      setImmediate(() => response.destroy());
    });
    await expect(client.request({ method: 'GET', path: '/', patienceMs: 0 })).rejects.toMatchObject({
      code: 'unavailable',
    });
  });
});

describe('a platform that is not there', () => {
  it('is said at once, with what to do', async () => {
    await platform.stop();
    const error = await client.request({ method: 'POST', path: '/' }).catch((thrown: unknown) => thrown as PaasError);
    expect(error).toMatchObject({ code: 'unavailable', exit: 10 });
    expect((error as PaasError).message).toContain(`the platform at ${platform.url} does not answer`);
    expect((error as PaasError).hint).toContain('paas up');
  });

  it('that never answers ends in a time-out that says what was waited for', async () => {
    const silent = createServer(() => undefined);
    await once(silent.listen(0, '127.0.0.1'), 'listening');
    const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const waiting = new Client({ url, ...credentials });
    await expect(waiting.request({ method: 'GET', path: '/v1/apps', timeoutMs: 50 })).rejects.toMatchObject({
      code: 'timeout',
      exit: 9,
      message: 'the platform did not answer GET /v1/apps within 0.05 s',
    });
    const interrupt = new AbortController();
    const interrupted = waiting.request({ method: 'GET', path: '/', signal: interrupt.signal });
    interrupt.abort();
    await expect(interrupted).rejects.toMatchObject({ code: 'interrupted', exit: 130 });
    waiting.close();
    silent.close();
  });
});
