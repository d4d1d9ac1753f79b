/** Real apps as people wrote them for Heroku and Cloud Foundry, unmodified. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPlatform, type Platform } from '../support/platform.ts';
import { requireOrSkip } from '../support/skip.ts';

const run = promisify(execFile);
const works = (program: string, ...args: string[]): Promise<boolean> =>
  run(program, args, { timeout: 60_000 }).then(
    () => true,
    () => false,
  );

let paas: Platform;
beforeAll(async () => {
  paas = await startPlatform();
});
afterAll(() => paas.remove());

describe('apps of every language', () => {
  it('runs an Express app with npm dependencies and an app.json', async (context) => {
    requireOrSkip(context, await works('npm', 'ping'), 'the npm registry');
    const cwd = paas.source('node-express');
    const pushed = await paas.json(['push', 'guests'], { cwd, timeoutMs: 150_000 });
    expect(pushed).toMatchObject({ build: { stack: 'node', cached: false }, release: 1 });
    expect((await paas.get('guests')).text).toContain('<h1>Hello from Express</h1>');
    const signed = await paas.get('guests', '/entries', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"text":"me"}',
    });
    expect(signed).toMatchObject({ status: 201, text: '{"count":1}' });
    expect((await paas.get('guests', '/env/DYNO')).text).toBe('web.1');
    expect((await paas.get('guests', '/env/NODE_ENV')).text).toBe('production');
    // The secret that app.json asks for is made once.
    const secret = (await paas.ok(['config', 'get', 'SESSION_SECRET', '-a', 'guests'])).stdout;
    expect(secret.trim().length).toBeGreaterThanOrEqual(32);
    const again = await paas.json(['push', 'guests', '--config', 'GREETING=Ahoy'], { cwd, timeoutMs: 150_000 });
    expect(again).toMatchObject({ release: 2, build: { cached: true }, upload: { files: 0 } });
    expect((await paas.get('guests')).text).toContain('Ahoy from Express');
    expect((await paas.ok(['config', 'get', 'SESSION_SECRET', '-a', 'guests'])).stdout).toBe(secret);
  });

  it('runs a Python app of the standard library alone', async (context) => {
    requireOrSkip(context, await works('python3', '--version'), 'python3');
    await paas.ok(['push', 'snake'], { cwd: paas.source('python-stdlib') });
    expect((await paas.get('snake')).text).toContain('Hello from Python');
    expect(JSON.parse((await paas.get('snake', '/count')).text)).toEqual({ count: 1 });
    expect(JSON.parse((await paas.get('snake', '/env')).text)).toMatchObject({
      ...{ dyno: 'web.1', application_name: 'snake' },
    });
    const body = Buffer.alloc(300_000, 'ü');
    expect((await paas.get('snake', '/', { method: 'POST', body })).text).toBe(body.toString());
  });

  it('runs web and worker of a Procfile', async () => {
    await paas.ok(['push', 'primes'], { cwd: paas.source('node-web-worker') });
    expect(JSON.parse((await paas.get('primes', '/?above=100')).text)).toEqual({ prime: 101, process: 'web.1' });
    await paas.waitFor('the worker to work', async () =>
      (await paas.logs('primes', '--process', 'worker')).find(({ line }) => line === 'worker found 3'),
    );
    const rows = await paas.ps('primes');
    expect(rows.map(({ name, state }) => [name, state]).sort()).toEqual([
      ['web.1', 'healthy'],
      ['worker.1', 'healthy'],
    ]);
    expect(rows.find(({ type }) => type === 'worker')?.port).toBeNull();
  });

  it('serves a static site with types, ranges and ETags', async () => {
    await paas.ok(['push', 'site'], { cwd: paas.source('static-site') });
    const page = await paas.get('site');
    expect(page.text).toContain('Hello from a static site');
    expect(page.headers['content-type']).toMatch(/^text\/html/);
    const { etag } = page.headers;
    expect((await paas.get('site', '/', { headers: { 'if-none-match': String(etag) } })).status).toBe(304);
    const css = await paas.get('site', '/assets/site.css', { headers: { range: 'bytes=0-1' } });
    expect(css).toMatchObject({ status: 206, text: 'h1' });
    expect(css.headers['content-type']).toMatch(/^text\/css/);
    expect((await paas.get('site', '/assets/dot.svg')).headers['content-type']).toMatch(/^image\/svg\+xml/);
    expect((await paas.get('site', '/docs/')).text).toContain('<h1>Docs</h1>');
    expect(await paas.get('site', '/nothing')).toMatchObject({ status: 404 });
    expect((await paas.get('site', '/nothing')).text).toContain('Nothing here');
    expect((await paas.get('site', '/.hidden')).status).toBe(404);
    expect((await paas.get('site', '/..%2f..%2fetc/passwd')).status).toBeGreaterThanOrEqual(400);
  });

  it('runs a Cloud Foundry app by its manifest, and warns of what has no meaning here', async () => {
    const pushed = await paas.ok(['push'], { cwd: paas.source('node-cloudfoundry') });
    expect(pushed.stderr).toMatch(/disk_quota|random-route|buildpack/);
    expect((await paas.get('cf-node')).text).toBe('Hello from cf-node\n');
    const info = JSON.parse((await paas.get('cf-node', '/info')).text);
    expect(info).toMatchObject({ name: 'cf-node', memory: '128m', services: [] });
    expect(info.uris).toEqual(['cf-node.localhost']);
    const seen = new Set<string>();
    await paas.waitFor('both instances to have answered', async () => {
      seen.add(String(JSON.parse((await paas.get('cf-node', '/info')).text).instance));
      return seen.size === 2;
    });
    expect([...seen].sort()).toEqual(['0', '1']);
  });

  it('runs any program that a Procfile names', async () => {
    await paas.ok(['push', 'script'], { cwd: paas.source('procfile-shell') });
    expect((await paas.get('script')).text).toBe('hello from a shell script');
  });
});
