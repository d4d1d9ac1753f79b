/** What routers see of a canary decides whether it goes on; what they see of an app reaches people. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readAccessLine } from '../../src/shared/access-line.ts';
import type { AppDetail, RolloutView } from '../../src/shared/contracts/api.ts';
import { startPlatform, type Platform } from '../support/platform.ts';

/** A version that ends with `!` answers every third request with 500. How long answers take is the machine's matter. */
const server = `
const version = require('node:fs').readFileSync(__dirname + '/VERSION', 'utf8').trim();
let asked = 0;
require('node:http').createServer((request, response) => {
  response.setHeader('x-version', version);
  response.statusCode = version.endsWith('!') && ++asked % 3 === 0 ? 500 : 200;
  response.end('version ' + version);
}).listen(process.env.PORT, () => console.log('version ' + version + ' listens'));
`;
const manifest = `
name: shop
processes: { web: { command: node server.js, instances: 2, memory: 100M, health: port } }
rollout: { strategy: canary, steps: [50], manual: true, analysis: { min_requests: 30, max_latency: 1000 } }
`;

let paas: Platform;
let cwd: string;
beforeAll(async () => {
  paas = await startPlatform();
  cwd = paas.directory({ 'server.js': server, 'paas.yml': manifest, VERSION: '1', Procfile: 'web: node server.js\n' });
  await paas.ok(['push'], { cwd });
});
afterAll(() => paas.remove());

const rollout = async (): Promise<RolloutView | null> =>
  (await paas.json<{ rollout: RolloutView | null }>(['rollout', 'status', '-a', 'shop'])).rollout;

/** A request of each of fifty clients; answers by version and status. */
async function fifty(): Promise<Record<string, number>> {
  const seen: Record<string, number> = {};
  for (let n = 0; n < 50; n++) {
    const { status, headers } = await paas.get('shop', '/', { headers: { 'x-forwarded-for': `198.51.100.${n}` } });
    const key = `${String(headers['x-version'])} ${status}`;
    seen[key] = (seen[key] ?? 0) + 1;
  }
  return seen;
}

describe('a canary', () => {
  it('that answers worse goes back by itself, with the figures, and nothing else suffers', async () => {
    const before = (await paas.ps('shop')).map(({ id }) => id).sort();
    writeFileSync(join(cwd, 'VERSION'), '2!');
    const push = paas.start(['push'], { cwd });
    let over = false;
    const ended = push.exited.finally(() => (over = true));
    const kinds = new Set<string>();
    while (!over) for (const kind of Object.keys(await fifty())) kinds.add(kind);
    const { code, stderr } = await ended;
    expect(stderr).toMatch(
      /canary step 1 \(50 %\): v2 answered \d+\.\d % of \d+ requests with 5xx, v1 0\.0 % of \d+ \(limit: \+1\.0 points\)/,
    );
    expect(code).toBe(8);
    expect([...kinds].sort()).toEqual(['1 200', '2! 200', '2! 500']);
    expect((await paas.settled('shop', { web: 2 })).map(({ id }) => id).sort()).toEqual(before);
    expect(await fifty()).toEqual({ '1 200': 50 });
    expect(await rollout()).toMatchObject({
      state: 'failed',
      error: expect.stringContaining('canary step 1') as string,
    });
  });

  it('that answers as well goes on, and shows its figures meanwhile', async () => {
    writeFileSync(join(cwd, 'VERSION'), '3');
    await paas.ok(['push', '--no-wait'], { cwd });
    const view = await paas.waitFor('enough requests to judge', async () => {
      await fifty();
      const { canary } = (await rollout())!;
      return canary?.analysis?.verdict === 'fine' && canary.analysis;
    });
    expect(view).toMatchObject({
      ...{ step: 0, percent: 50, limits: { maxErrors: 1, maxLatency: 1000, minRequests: 30 } },
      ...{ new: { release: 3, errorPercent: 0 }, old: { release: 1, errorPercent: 0 } },
    });
    expect((await paas.ok(['rollout', 'status', '-a', 'shop'])).stdout).toMatch(
      /RELEASE +REQUESTS +5XX +P95\nv3 +\d+ +0\.0 %/,
    );
    await paas.ok(['rollout', 'continue', '-a', 'shop']);
    await paas.waitFor('the rollout to succeed', async () => (await rollout())?.state === 'succeeded');
    expect(await fifty()).toEqual({ '3 200': 50 });
  });
});

describe('the requests of an app', () => {
  it('are lines of their own source, once each', async () => {
    for (let n = 0; n < 20; n++) await paas.get('shop', `/once/${n}?secret=${n}`);
    const find = () => paas.logs('shop', '--source', 'router', '--grep', 'path=/once/', '-n', 'all');
    await paas.waitFor('the last request', async () => (await find()).some(({ line }) => line.includes('/once/19')));
    const lines = await find();
    const fields = lines.map(({ line }) => readAccessLine(line));
    expect(fields.map(({ path }) => path)).toEqual(Array.from({ length: 20 }, (_, n) => `/once/${n}`));
    expect(fields[0]).toMatchObject({ method: 'GET', host: 'shop.localhost', status: '200', release: '3' });
    expect(lines[0]).toMatchObject({ source: 'router', instance: 'router', process: 'router', release: null });
    const all = await paas.logs('shop', '-n', 'all');
    expect(all.some(({ source }) => source === 'router')).toBe(false);
    const own = () => paas.logs('shop', '-n', 'all');
    await paas.waitFor('its output', async () => (await own()).some(({ line }) => line === 'version 3 listens'));
  });

  it('can be narrowed down to a release, as its output can', async () => {
    const router = await paas.logs('shop', '--source', 'router', '--release', 'v2', '-n', '10');
    expect(router).toHaveLength(10);
    expect(new Set(router.map(({ line }) => readAccessLine(line)['release']))).toEqual(new Set(['2']));
    const own = await paas.waitFor('output of v2', async () => {
      const lines = await paas.logs('shop', '--release', 'v2', '-n', 'all');
      return lines.length > 0 && lines;
    });
    expect(new Set(own.map(({ release }) => release))).toEqual(new Set([2]));
    const text = (await paas.ok(['logs', '-a', 'shop', '--source', 'router', '-n', '1'])).stdout;
    expect(text).toMatch(/^\S+Z router \| method=GET host=shop\.localhost path=\S+ status=200 bytes=\d+ ms=/);
  });

  it('are summed up by release in `paas app`', async () => {
    const [now, ...before] = await paas.waitFor('the routers to tell of all requests', async () => {
      const { traffic } = await paas.json<AppDetail>(['app', 'shop']);
      return traffic.releases[0]!.classes[1]! >= 70 && traffic.releases;
    });
    expect([now, ...before].map((one) => one!.release)).toEqual([3, 2, 1]);
    expect(now!.p50).toBeLessThanOrEqual(now!.p99!);
    expect((await paas.ok(['app', 'shop'])).stdout).toMatch(/Requests of the last .*\nRELEASE +REQUESTS .*\nv3 /);
  });
});
