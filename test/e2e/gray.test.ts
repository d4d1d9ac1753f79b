/** Two releases side by side, and who gets which. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GrayTestAnswer, GrayView } from '../../src/shared/contracts/api.ts';
import { startPlatform, type Platform } from '../support/platform.ts';

let paas: Platform;
let cwd: string;
/** v1 and v2 are made; v1 is what `rollback` makes v3 of. */
beforeAll(async () => {
  paas = await startPlatform();
  cwd = paas.source('probe');
  await paas.ok(['push', 'shop', '-m', '100M'], { cwd });
  writeFileSync(join(cwd, 'VERSION'), '2');
  await paas.ok(['push', 'shop'], { cwd });
  await paas.ok(['rollback', '-a', 'shop']);
  // What v2 had before may still be on its way out.
  await paas.settled('shop', { web: 1 });
});
afterAll(() => paas.remove());

const get = async (headers: Record<string, string> = {}): Promise<string> =>
  (await paas.get('shop', '/', { headers })).text;
const view = (): Promise<GrayView> => paas.json(['gray', 'shop']);
const beta = { cookie: 'beta=1' };

describe('paas gray', () => {
  it('leads requests to another release, which runs beside the one in force', async () => {
    const load = paas.load('shop');
    await paas.ok(['gray', 'add', 'shop', '--to', 'v2', '--match', 'cookie:beta=1']);
    await paas.waitFor('the beta to be served', async () => (await get(beta)) === 'version 2');
    expect(await get()).toBe('version 1');
    const rows = await paas.ps('shop');
    expect(rows.map(({ type, release }) => `${type} v${release}`).sort()).toEqual(['web v2', 'web v3']);
    expect(await view()).toMatchObject({
      stable: 3,
      rules: [{ release: 2, match: 'cookie:beta=1', by: 'key:local-admin' }],
      releases: { 2: { web: 1 } },
    });
    expect((await load.stop()).failures).toEqual([]);
  });

  it('tells which release a request would get, and why', async () => {
    const ask = (...flags: string[]): Promise<GrayTestAnswer> => paas.json(['gray', 'test', 'shop', ...flags]);
    expect(await ask('--header', 'Cookie: a=b; beta=1')).toMatchObject({
      release: 2,
      why: 'rule 1 (cookie:beta=1) leads to v2',
    });
    expect(await ask('--ip', '10.2.0.1')).toMatchObject({ release: 3, rule: null, why: expect.stringContaining('v3') });
  });

  it('stays through pushes, scales and restarts of the stable release', async () => {
    const load = paas.load('shop');
    writeFileSync(join(cwd, 'VERSION'), '4');
    await paas.ok(['push', 'shop'], { cwd });
    expect([await get(), await get(beta)]).toEqual(['version 4', 'version 2']);
    await paas.ok(['scale', 'web=2', '-a', 'shop']);
    await paas.ok(['restart', '-a', 'shop']);
    await paas.waitFor('the beta to be served again', async () => (await get(beta)) === 'version 2');
    await paas.waitFor('the old instances to be gone', async () => {
      expect((await paas.ps('shop')).map(({ release }) => release).sort()).toEqual([2, 4, 4]);
      return true;
    });
    await paas.ok(['stop', '-a', 'shop']);
    await paas.waitFor('the beta to be gone, too', async () => (await paas.ps('shop')).length === 0);
    await paas.ok(['start', '-a', 'shop']);
    await paas.waitFor('the beta to be served again', async () => (await get(beta)) === 'version 2');
    expect((await load.stop()).failures.every((failure) => /503/.test(JSON.stringify(failure)))).toBe(true);
  });

  it('ends with its last rule, and gives everybody the stable release', async () => {
    const load = paas.load('shop');
    const [rule] = (await view()).rules;
    await paas.ok(['gray', 'remove', 'shop', rule!.id]);
    await paas.waitFor('all to be stable', async () => (await get(beta)) === 'version 4');
    await paas.waitFor('the beta to be gone', async () => (await paas.ps('shop')).every((row) => row.release === 4));
    expect((await view()).rules).toEqual([]);
    expect((await load.stop()).failures).toEqual([]);
  });

  it('keeps those who are pinned to the release in force on it when the next one comes', async () => {
    await paas.ok(['gray', 'add', 'shop', '--to', 'v4', '--match', 'cookie:beta=1']);
    const pinned = paas.load('shop', '/', beta);
    const all = paas.load('shop');
    writeFileSync(join(cwd, 'VERSION'), '5');
    await paas.ok(['push', 'shop'], { cwd });
    // The one that stays for the pinned ones is kept from the others by the table that follows the rollout's end.
    await paas.waitFor('all others to get the next one', async () => {
      const answers = await Promise.all(Array.from({ length: 40 }, () => get()));
      return answers.every((text) => text === 'version 5');
    });
    expect(await get(beta)).toBe('version 4');
    expect(await view()).toMatchObject({ stable: 5, releases: { 4: { web: 1 } }, rollout: null });
    await paas.waitFor('the others to be gone', async () => {
      expect((await paas.ps('shop')).map(({ release }) => release).sort()).toEqual([4, 5, 5]);
      return true;
    });
    expect((await pinned.stop()).failures).toEqual([]);
    expect([...pinned.answers.keys()]).toEqual(['version 4']);
    expect((await all.stop()).failures).toEqual([]);
    await paas.ok(['gray', 'remove', 'shop', (await view()).rules[0]!.id]);
  });

  it('refuses what makes no sense, in words', async () => {
    const refused = async (code: number, ...words: string[]): Promise<void> => {
      const { code: got, error } = await paas.cli([...words, '--json']);
      expect(got, words.join(' ')).toBe(code);
      expect(error.hint).not.toBe('');
    };
    await refused(5, 'gray', 'add', 'shop', '--to', 'v99', '--match', 'cookie:a=b');
    await refused(2, 'gray', 'add', 'shop', '--to', 'v2', '--match', 'colour:red');
    await refused(2, 'gray', 'add', 'shop', '--to', 'v2', '--match', 'device:~(a+)+$');
    await refused(2, 'gray', 'add', 'shop', '--to', 'v2', '--match', 'ip:10.2.0.0/99');
    await refused(2, 'gray', 'add', 'shop', '--match', 'percent:5');
    await refused(5, 'gray', 'remove', 'shop', 'gry_none');
  });
});
