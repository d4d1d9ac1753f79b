import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { compileRules } from '../../../src/shared/gray/choose.ts';
import { parseConditions } from '../../../src/shared/gray/rules-text.ts';
import { shareOfAddress } from '../../../src/shared/gray/sticky.ts';
import { mmdb, place } from '../../support/mmdb.ts';
import { fetchText, httpServer, type TestServer } from '../../support/wire.ts';
import type { Bench } from '../router.suite.ts';
import { stickyKey } from './support.ts';

/** Two versions of one app side by side, and who gets which. */
export function gray(bench: Bench): void {
  const version = async (name: string): Promise<TestServer> =>
    bench.cleanUp.add(await httpServer((_request, response) => response.end(name)));
  const ask = (headers: Record<string, string> = {}) =>
    fetchText(`${bench.url}/`, { headers: { host: 'a.test', ...headers } });
  const gets = async (headers?: Record<string, string>) => (await ask(headers)).body;

  /** Old is release 1, new is release 2; each rule leads to release 2 unless it says otherwise. */
  async function serve(...rules: (string | [string, number])[]): Promise<void> {
    const parsed = rules.map((rule) => {
      const [text, release] = typeof rule === 'string' ? [rule, 2] : rule;
      return { release, all: parseConditions(text) };
    });
    const servers = [await version('old'), await version('new')];
    await bench.serve({ a: { servers, releases: [1, 2], gray: { releases: [2], rules: parsed } } });
  }

  it('look at cookies, headers, devices and addresses', async () => {
    await serve('cookie:beta=1', 'header:X-Team~^qa', 'device:~Mi ?Note', 'ip:10.2.0.0/16', 'ip:2001:db8::/32');
    expect(await gets()).toBe('old');
    expect(await gets({ cookie: 'a=b; beta=1' })).toBe('new');
    expect(await gets({ cookie: 'beta=12; xbeta=1' })).toBe('old');
    expect(await gets({ 'x-team': 'QA-2' })).toBe('new');
    expect(await gets({ 'x-team': 'no qa' })).toBe('old');
    expect(await gets({ 'user-agent': 'Mozilla/5.0 (Linux; Mi Note 10)' })).toBe('new');
    expect(await gets({ 'x-forwarded-for': '10.2.3.4' })).toBe('new');
    expect(await gets({ 'x-forwarded-for': '10.2.3.4, 10.3.0.1' })).toBe('old');
    expect(await gets({ 'x-forwarded-for': '2001:db8::7' })).toBe('new');
    expect(await gets({ 'x-forwarded-for': 'nonsense' })).toBe('old');
  });

  it('hold when all their conditions hold, the first one first', async () => {
    await serve(['header:x-team=qa and cookie:old=1', 1], 'header:x-team=qa');
    expect(await gets({ 'x-team': 'qa' })).toBe('new');
    expect(await gets({ 'x-team': 'qa', cookie: 'old=1' })).toBe('old');
    expect(await gets({ cookie: 'old=1' })).toBe('old');
  });

  it('give a share of the clients, the same ones each time', async () => {
    await serve('percent:50');
    const from = (n: number) => ({ 'x-forwarded-for': `198.51.100.${n}` });
    const first = await Promise.all(Array.from({ length: 200 }, (_, n) => gets(from(n))));
    const share = first.filter((body) => body === 'new').length;
    expect(share).toBeGreaterThan(60);
    expect(share).toBeLessThan(140);
    expect(await Promise.all(Array.from({ length: 200 }, (_, n) => gets(from(n))))).toEqual(first);
  });

  it('give each release a share of its own of the clients, the same one whatever the router', async () => {
    const rules = [2, 3, 4711].map((release) => ({ release, all: parseConditions('percent:30') }));
    const servers = await Promise.all(['1', '2', '3', '4711'].map(version));
    await bench.serve({ a: { servers, releases: [1, 2, 3, 4711], gray: { releases: [2, 3, 4711], rules } } });
    const choose = compileRules(rules);
    const key = Buffer.from(stickyKey, 'base64url');
    const addresses = Array.from({ length: 200 }, (_, n) => `198.51.100.${n}`);
    const wanted = addresses.map((address) => {
      const share = () => shareOfAddress(key, 'app_a', address);
      const nothing = () => undefined;
      const chosen = choose({ address, share, header: nothing, cookie: nothing, regions: () => [] });
      return String(chosen?.release ?? 1);
    });
    expect(new Set(wanted).size).toBe(4);
    expect(await Promise.all(addresses.map((address) => gets({ 'x-forwarded-for': address })))).toEqual(wanted);
  });

  it('pin clients to the stable release while another one takes its place, and keep it from nobody', async () => {
    const servers = [await version('old'), await version('new')];
    const rules = [{ release: 1, all: parseConditions('cookie:legacy=1') }];
    await bench.serve({ a: { servers, releases: [1, 2], gray: { releases: [], rules } } });
    const several = async (headers?: Record<string, string>) =>
      new Set(await Promise.all(Array.from({ length: 30 }, () => gets(headers))));
    expect(await several({ cookie: 'legacy=1' })).toEqual(new Set(['old']));
    expect(await several()).toEqual(new Set(['old', 'new']));
    await bench.serve({ a: { servers: [servers[1]!], releases: [2], gray: { releases: [], rules } } });
    expect(await several({ cookie: 'legacy=1' })).toEqual(new Set(['new']));
  });

  it('let a client keep its version by a cookie when its address changes, and believe no cookie of its own making', async () => {
    await serve('percent:50');
    for (let n = 0; n < 10; n++) {
      const begun = await ask({ 'x-forwarded-for': `198.51.100.${n}` });
      const given = String(begun.headers['set-cookie']);
      expect(given).toMatch(/^__paas_share_\w+=\d+\.[\w-]{22}; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax$/);
      const cookie = given.split(';')[0]!;
      for (let other = 0; other < 5; other++) {
        const again = await ask({ 'x-forwarded-for': `203.0.113.${other}`, cookie });
        expect(again.body).toBe(begun.body);
        expect(again.headers['set-cookie']).toBeUndefined();
      }
      const forged = cookie.replace(/=\d+/, '=1');
      if (forged !== cookie) expect((await ask({ cookie: forged })).headers['set-cookie']).toBeDefined();
    }
  });

  it('let a client keep its version of each app where several share a host', async () => {
    const pages = async (word: string) => [await version(`${word} old`), await version(`${word} new`)];
    const half = { releases: [2], rules: [{ release: 2, all: parseConditions('percent:50') }] };
    const split = { releases: [1, 2], gray: half };
    const apps = { shop: { servers: await pages('shop'), ...split }, api: { servers: await pages('api'), ...split } };
    await bench.serve(apps, {
      http: [
        { host: 'a.test', path: '/', backend: 'shop' },
        { host: 'a.test', path: '/api', backend: 'api' },
      ],
    });
    const jar = new Map<string, string>();
    const visit = async (path: string, client: number) => {
      const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
      const headers = { host: 'a.test', 'x-forwarded-for': `198.51.100.${client}`, ...(cookie && { cookie }) };
      const answer = await fetchText(`${bench.url}${path}`, { headers });
      for (const line of answer.headers['set-cookie'] ?? []) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]+)/.exec(line) ?? [];
        jar.set(name, value);
      }
      return answer.body;
    };
    const first = [await visit('/', 0), await visit('/api', 0)];
    for (let client = 1; client < 12; client++)
      expect([await visit('/', client), await visit('/api', client)]).toEqual(first);
  });

  it('give nobody 0 percent and everybody 100', async () => {
    await serve('percent:0');
    expect(new Set(await Promise.all(Array.from({ length: 20 }, () => gets())))).toEqual(new Set(['old']));
    await serve('percent:100');
    expect(new Set(await Promise.all(Array.from({ length: 20 }, () => gets())))).toEqual(new Set(['new']));
  });

  it('take the app from nobody when a version has no instance', async () => {
    const old = await version('old');
    const giving = (percent: number) => ({
      releases: [2],
      rules: [{ release: 2, all: parseConditions(`percent:${percent}`) }],
    });
    await bench.serve({ a: { servers: [old], releases: [1], gray: giving(100) } });
    expect(await gets()).toBe('old');
    await bench.serve({ a: { servers: [await version('new')], releases: [2], gray: giving(0) } });
    expect(await gets()).toBe('new');
  });

  it('set no cookie for apps without shares', async () => {
    await serve('cookie:beta=1');
    expect((await ask({ cookie: 'beta=1' })).headers['set-cookie']).toBeUndefined();
  });

  it('look up regions in a database, and take up the next one', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'paas-regions-'));
    bench.cleanUp.add({ close: () => rmSync(directory, { recursive: true }) });
    const regions = join(directory, 'city.mmdb');
    const servers = [await version('old'), await version('new')];
    const rules = ['region:CN-31', 'region:DE'].map((text) => ({ release: 2, all: parseConditions(text) }));
    const put = () => bench.serve({ a: { servers, releases: [1, 2], gray: { releases: [2], rules } } }, { regions });
    // A table waits for its database, but not for long.
    const problems = async () => (await bench.made.router.observe()).problems;
    await put();
    await expect.poll(problems).toEqual([expect.stringContaining(regions)]);
    const from = (address: string) => gets({ 'x-forwarded-for': address });
    expect(await from('10.2.3.4')).toBe('old');
    writeFileSync(
      regions,
      mmdb({ '10.2.0.0/16': place('CN', '31'), '10.3.0.0/16': place('CN', '44'), '10.4.0.0/15': place('DE') }),
    );
    await put();
    await expect.poll(problems).toEqual([]);
    const all = [
      '10.2.3.4',
      '::ffff:10.2.3.4',
      '10.3.0.1',
      '10.4.0.1',
      '10.5.255.255',
      '10.6.0.0',
      '2001:db8::1',
      'no',
    ];
    const expected = ['new', 'new', 'old', 'new', 'new', 'old', 'old', 'old'];
    expect(await Promise.all(all.map(from))).toEqual(expected);
    // A file that cannot be read leaves the last one in force.
    writeFileSync(regions, 'damaged');
    await put();
    await expect.poll(problems).toEqual([expect.stringMatching(/damaged/)]);
    expect(await from('10.2.3.4')).toBe('new');
    writeFileSync(regions, mmdb({ '10.3.0.0/16': place('CN', '31') }));
    const taken = async () => [await from('10.2.3.4'), await from('10.3.0.1'), await problems()];
    await expect.poll(taken, { timeout: 30_000 }).toEqual(['old', 'new', []]);
  });
}
