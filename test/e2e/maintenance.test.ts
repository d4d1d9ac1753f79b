/** A page instead of an app, limits that come with a release, and a gray release of two instances. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AppDetail, AppSummary, PushPlan } from '../../src/shared/contracts/api.ts';
import { mmdb, place } from '../support/mmdb.ts';
import { startPlatform, type Platform } from '../support/platform.ts';

const manifest = (router: string): string => `name: shop
processes: { web: { command: node server.js, memory: 100M } }
${router}`;
let paas: Platform;
let cwd: string;
/** For what is not pushed. */
let files: string;
beforeAll(async () => {
  paas = await startPlatform();
  cwd = paas.source('probe', { 'paas.yml': manifest('router: { max_body: 1M, outlier: off }\n') });
  files = paas.source('probe');
  await paas.ok(['push'], { cwd });
});
afterAll(() => paas.remove());

const get = async (headers: Record<string, string> = {}) => paas.get('shop', '/', { headers });
const app = (): Promise<AppDetail> => paas.json(['app', 'shop']);

describe('paas maintenance', () => {
  it('gives users a page while the app runs on, through pushes, stops and starts', async () => {
    const page = join(files, 'sorry.html');
    writeFileSync(page, '<h1>Zurück um zwölf</h1>');
    await paas.ok(['maintenance', 'on', 'shop', '--page', page]);
    const answer = await get();
    expect([answer.status, answer.text]).toEqual([503, '<h1>Zurück um zwölf</h1>']);
    expect(await paas.json(['maintenance', 'on', 'shop', '--page', page])).toMatchObject({ changed: false });
    expect((await paas.ok(['maintenance', '-a', 'shop'])).stdout).toContain('in maintenance for');
    expect((await paas.ok(['apps'])).stdout).toContain('healthy, maintenance');
    expect((await paas.json<{ warnings: string[] }>(['status'])).warnings.join()).toContain('shop is in maintenance');
    writeFileSync(join(cwd, 'VERSION'), '2');
    await paas.ok(['push'], { cwd });
    await paas.ok(['stop', '-a', 'shop']);
    expect((await get()).text).toContain('Zurück');
    await paas.ok(['start', '-a', 'shop']);
    expect((await get()).status).toBe(503);
    await paas.ok(['maintenance', 'off', 'shop']);
    const back = await get();
    expect([back.status, back.text]).toEqual([200, 'version 2']);
    const [summary] = await paas.json<AppSummary[]>(['apps']);
    expect(summary).toMatchObject({ state: 'healthy', maintenance: false });
  });

  it('refuses pages that are none', async () => {
    const refused = async (code: number, file: string): Promise<void> => {
      expect((await paas.cli(['maintenance', 'on', 'shop', '--page', file])).code, file).toBe(code);
    };
    const binary = join(files, 'page.bin');
    writeFileSync(binary, Buffer.from([0xff, 0xfe, 0x00]));
    await refused(2, binary);
    writeFileSync(binary, 'x'.repeat(300 * 1024));
    await refused(3, binary);
    await refused(5, join(files, 'none.html'));
    await refused(2, files);
    expect((await get()).status).toBe(200);
  });
});

describe('router settings of the manifest', () => {
  it('take force with their release, and come back with a rollback', async () => {
    expect((await app()).router).toEqual({
      limits: { maxBodyBytes: 1 << 20 },
      outlier: { failures: 0, ejectMs: 10_000 },
    });
    expect((await paas.ok(['app', 'shop'])).stdout).toContain('max_body: 1M, outlier: off');
    writeFileSync(join(cwd, 'paas.yml'), manifest('router: { max_connections: 50 }\n'));
    const { plan } = await paas.json<PushPlan>(['push', '--dry-run'], { cwd });
    expect(plan).toContainEqual({ action: 'router', target: 'max_body', from: '1M', to: null });
    expect(plan).toContainEqual({ action: 'router', target: 'max_connections', from: null, to: '50' });
    await paas.ok(['push'], { cwd });
    expect((await app()).router).toEqual({ limits: { concurrency: 50 } });
    expect(await paas.json(['push'], { cwd })).toMatchObject({ changed: false });
    await paas.ok(['rollback', '-a', 'shop']);
    expect((await app()).router.limits).toEqual({ maxBodyBytes: 1 << 20 });
  });

  it('stay as they were when the release fails', async () => {
    const failing = manifest('router: { max_connections: 1 }\n').replace('node server.js', 'exit 1');
    writeFileSync(join(cwd, 'paas.yml'), failing);
    expect((await paas.cli(['push'], { cwd })).code).toBe(8);
    expect((await app()).router.limits).toEqual({ maxBodyBytes: 1 << 20 });
  });
});

describe('a release beside the stable one', () => {
  it('is scaled by itself', async () => {
    await paas.ok(['gray', 'add', 'shop', '--to', 'v1', '--match', 'cookie:beta=1']);
    const beside = async (): Promise<number> =>
      (await paas.ps('shop')).filter(({ release, state }) => release === 1 && state === 'healthy').length;
    expect((await paas.ok(['scale', '-a', 'shop', '--release', 'v1', 'web=2'])).stdout).toContain('shop v1: web=2');
    expect(await beside()).toBe(2);
    expect((await paas.ok(['scale', '-a', 'shop', '--release', 'v1'])).stdout).toBe('--release v1 web=2\n');
    expect((await paas.ok(['scale', '-a', 'shop'])).stdout).toContain('web=1');
    const refused = await paas.cli(['scale', '-a', 'shop', '--release', 'v2', 'web=2', '--json']);
    expect(refused.code).toBe(6);
    expect(refused.error.message).toContain('v2 does not run beside');
    await paas.ok(['scale', '-a', 'shop', '--release', 'v1', 'web-1']);
    expect(await beside()).toBe(1);
  });

  it('gets the clients of a region, once there is a database', async () => {
    const add = ['gray', 'add', 'shop', '--to', 'v1', '--match', 'region:CN-31'];
    const refused = await paas.cli([...add, '--json']);
    expect([refused.code, refused.error.hint]).toEqual([6, expect.stringContaining('paas up --regions')]);
    const database = join(files, 'city.mmdb');
    writeFileSync(database, mmdb({ '10.2.0.0/16': place('CN', '31') }));
    await paas.ok(['up', '--regions', database]);
    await paas.ok(add);
    const from = async (address: string) => (await get({ 'x-forwarded-for': address })).text;
    await paas.waitFor('the region to get its release', async () => (await from('10.2.3.4')) === 'version 1');
    expect(await from('10.3.3.4')).toBe('version 2');
    const test = await paas.json(['gray', 'test', 'shop', '--ip', '10.2.3.4']);
    expect(test).toMatchObject({ release: 1, rule: { match: 'region:CN-31' } });
  });
});

describe('paas routes nginx', () => {
  it('says that this platform has another router', async () => {
    const file = join(files, 'shop.conf');
    writeFileSync(file, 'expires 1h;\n');
    const refused = await paas.cli(['routes', 'nginx', 'shop', '--file', file, '--json']);
    expect([refused.code, refused.error.code]).toEqual([2, 'unsupported']);
    writeFileSync(file, 'expires 1h;\nproxy_pass http://127.0.0.1:1;\n');
    const bad = await paas.cli(['routes', 'nginx', 'shop', '--file', file, '--json']);
    expect(bad.code).toBe(3);
    expect(bad.error.message).toContain('line 2: `proxy_pass`');
    expect((await paas.ok(['routes', 'nginx', '-a', 'shop'])).stdout).toContain('has no nginx configuration');
  });
});
