import { expect, it } from 'vitest';
import { exchange, fetchText, httpServer, rawClient } from '../../support/wire.ts';
import type { Bench } from '../router.suite.ts';

export function maintenance(bench: Bench): void {
  async function counting() {
    const app = { asked: 0 };
    const server = bench.cleanUp.add(
      await httpServer(
        (_request, response) => {
          app.asked++;
          response.end('app');
        },
        (own) => own.on('upgrade', (_request, socket) => (app.asked++, socket.destroy())),
      ),
    );
    return Object.assign(app, { server });
  }
  const get = (options: { method?: string; accept?: string; body?: string } = {}) => {
    const { accept = 'text/html', ...rest } = options;
    return fetchText(bench.url, { headers: { host: 'm.test', accept }, ...rest });
  };

  it('keeps everything from an app, and says when to come back', async () => {
    const app = await counting();
    await bench.serve({ m: { servers: [app.server], settings: { maintenance: {} } } });
    const answer = await get();
    expect(answer.status).toBe(503);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    expect(answer.headers['content-type']).toMatch(/^text\/html/);
    expect(answer.body).toContain('being worked on');
    expect((await get({ method: 'POST', body: 'x' })).status).toBe(503);
    const upgrade = 'GET / HTTP/1.1\r\nHost: m.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
    const client = rawClient(bench.port);
    client.write(upgrade);
    expect(await client.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 503 /);
    client.socket.destroy();
    expect(app.asked).toBe(0);
    await bench.serve({ m: { servers: [app.server] } });
    expect(await get()).toMatchObject({ status: 200, body: 'app' });
  });

  it('shows the page that was given, to all but those who ask for JSON', async () => {
    const app = await counting();
    const page = '<!doctype html><p>Zurück um 9 – bis dann</p>';
    await bench.serve({ m: { servers: [app.server], settings: { maintenance: { page } } } });
    for (const accept of ['text/html', '*/*']) {
      const answer = await get({ accept });
      expect(answer).toMatchObject({ status: 503, body: page });
      expect(answer.headers['content-type']).toMatch(/^text\/html; *charset=utf-8/i);
    }
    const json = await get({ accept: 'application/json' });
    expect(json.status).toBe(503);
    expect(JSON.parse(json.body)).toMatchObject({ error: { code: 'unavailable' } });
    expect(await get({ method: 'HEAD' })).toMatchObject({ status: 503, body: '' });
    expect(app.asked).toBe(0);
  });

  it('holds for one app alone', async () => {
    const [one, other] = [await counting(), await counting()];
    await bench.serve({
      m: { servers: [one.server], settings: { maintenance: {} } },
      n: { servers: [other.server] },
    });
    expect((await get()).status).toBe(503);
    expect((await fetchText(bench.url, { headers: { host: 'n.test' } })).body).toBe('app');
  });

  it('is passed by what proves to a certificate authority whose host it is', async () => {
    const app = await counting();
    await bench.serve(
      { m: { servers: [app.server], settings: { maintenance: {} } } },
      { challenges: { 'token-1': 'token-1.thumbprint' } },
    );
    const ask = (token: string, host: string) =>
      fetchText(`${bench.url}/.well-known/acme-challenge/${token}`, { headers: { host } });
    expect(await ask('token-1', 'm.test')).toMatchObject({ status: 200, body: 'token-1.thumbprint' });
    expect(await ask('token-1', 'not-routed-yet.test')).toMatchObject({ status: 200, body: 'token-1.thumbprint' });
    expect((await ask('token-2', 'm.test')).status).toBe(503);
    expect((await ask('token-2', 'not-routed-yet.test')).status).toBe(404);
    expect((await ask('constructor', 'not-routed-yet.test')).status).toBe(404);
    expect(
      await exchange(
        bench.port,
        'HEAD /.well-known/acme-challenge/token-1 HTTP/1.1\r\nHost: x.test\r\nConnection: close\r\n\r\n',
      ),
    ).toMatch(/^HTTP\/1\.1 200 [^]*\r\n\r\n$/);
  });

  it('leaves challenges that are not its own to the app', async () => {
    const app = await counting();
    await bench.serve({ m: { servers: [app.server] } }, { challenges: { a: 'b' } });
    const answer = await fetchText(`${bench.url}/.well-known/acme-challenge/own`, { headers: { host: 'm.test' } });
    expect(answer).toMatchObject({ status: 200, body: 'app' });
  });
}
