/** A new release for some of the clients first. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RolloutView } from '../../src/shared/contracts/api.ts';
import { killNow, startPlatform, type Platform } from '../support/platform.ts';

let paas: Platform;
let cwd: string;
beforeAll(async () => {
  paas = await startPlatform();
  cwd = paas.source('probe');
  await paas.ok(['push', 'shop', '-i', '2', '-m', '100M'], { cwd });
});
afterAll(() => paas.remove());

const rollout = async (): Promise<RolloutView | null> =>
  (await paas.json<{ rollout: RolloutView | null }>(['rollout', 'status', '-a', 'shop'])).rollout;

/** Which version each of a hundred clients gets. */
async function versions(): Promise<Record<string, number>> {
  const seen: Record<string, number> = {};
  for (let n = 0; n < 100; n++) {
    const { text } = await paas.get('shop', '/', { headers: { 'x-forwarded-for': `198.51.100.${n}` } });
    seen[text] = (seen[text] ?? 0) + 1;
  }
  return seen;
}

/** The same, once the routers share out: while they take up a table, some clients are asked before it and some after. */
async function shared(version: string): Promise<Record<string, number>> {
  await paas.waitFor(`version ${version} to get its share`, async () => `version ${version}` in (await versions()));
  return versions();
}

async function begin(version: string, ...flags: string[]): Promise<void> {
  writeFileSync(join(cwd, 'VERSION'), version);
  await paas.ok(['push', 'shop', '--strategy', 'canary', ...flags, '--no-wait'], { cwd });
}

async function reaches(percent: number): Promise<RolloutView> {
  return paas.waitFor(`${percent} % to be reached`, async () => {
    const view = await rollout();
    return view?.canary?.percent === percent && view.canary.reachedAt !== null && view;
  });
}

describe('a canary rollout', () => {
  it('gives the new release its share step by step, then everything, without a failed request', async () => {
    const load = paas.load('shop');
    await begin('2', '--steps', '30,60', '--manual');
    const first = await reaches(30);
    expect(first).toMatchObject({ strategy: 'canary', canary: { steps: [30, 60, 100], step: 0, waitMs: null } });
    expect(first.processes['web']).toEqual({ target: 2, newHealthy: 1, newTotal: 1, oldTotal: 2 });
    const some = await shared('2');
    // Of a hundred clients with a share of 30 % each: less than one time in a million it is more or less than this.
    expect(some['version 2']).toBeGreaterThan(8);
    expect(some['version 2']).toBeLessThan(55);
    const told = await paas.ok(['rollout', 'status', '-a', 'shop']);
    expect(told.stdout).toContain('[30] 60 100 %, each waits for `paas rollout continue`');
    expect(told.stdout).toContain('gets 30 % of the clients');
    await paas.ok(['rollout', 'continue', '-a', 'shop']);
    await reaches(60);
    await paas.ok(['rollout', 'continue', '-a', 'shop']);
    await paas.waitFor('the rollout to succeed', async () => (await rollout())?.state === 'succeeded');
    await paas.settled('shop', { web: 2 });
    expect(await versions()).toEqual({ 'version 2': 100 });
    expect((await load.stop()).failures).toEqual([]);
  });

  it('goes on by itself when its time has passed', async () => {
    await begin('3', '--steps', '50', '--step-wait', '1s');
    await paas.waitFor('the rollout to succeed', async () => (await rollout())?.state === 'succeeded');
    expect((await paas.get('shop')).text).toBe('version 3');
  });

  it('is taken back as a whole by `rollout cancel`', async () => {
    const load = paas.load('shop');
    const before = (await paas.settled('shop', { web: 2 })).map(({ id }) => id).sort();
    await begin('4', '--steps', '50', '--manual');
    await reaches(50);
    await paas.ok(['rollout', 'cancel', '-a', 'shop']);
    await paas.waitFor('the rollout to be cancelled', async () => (await rollout())?.state === 'cancelled');
    expect(await versions()).toEqual({ 'version 3': 100 });
    const rows = await paas.settled('shop', { web: 2 });
    expect(rows.map(({ id }) => id).sort()).toEqual(before);
    expect((await load.stop()).failures).toEqual([]);
  });

  it('survives a kill of the control plane at a step', async () => {
    await begin('5', '--steps', '50', '--manual');
    await reaches(50);
    const seen = await shared('5');
    await killNow([paas.pid('servers')]);
    expect(await versions()).toEqual(seen);
    await paas.up();
    expect(await reaches(50)).toMatchObject({ state: 'running' });
    await paas.ok(['rollout', 'continue', '-a', 'shop']);
    await paas.waitFor('the rollout to succeed', async () => (await rollout())?.state === 'succeeded');
    expect(await versions()).toEqual({ 'version 5': 100 });
  });

  it('says what its flags may be', async () => {
    for (const flags of [
      ['--strategy', 'canary', '--steps', '50,10'],
      ['--strategy', 'rolling', '--steps', '10'],
      ['--strategy', 'canary', '--manual', '--step-wait', '1m'],
    ]) {
      expect((await paas.cli(['push', 'shop', ...flags], { cwd })).code).toBe(2);
    }
  });
});
