import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPlatform, type Platform } from '../support/platform.ts';

let paas: Platform;
beforeAll(async () => {
  paas = await startPlatform();
});
afterAll(() => paas.remove());

describe('paas push', () => {
  it('takes a directory to a live page, and says so in JSON', async () => {
    const cwd = paas.source('probe');
    const pushed = await paas.json(['push', 'first'], { cwd });
    expect(pushed).toMatchObject({
      ...{ app: 'first', project: 'default', environment: 'dev', release: 1, changed: true },
      ...{ url: `http://first.localhost:${paas.routerPort}`, upload: { files: 3 } },
      ...{ build: { cached: false }, rollout: { state: 'succeeded' } },
    });
    const page = await paas.get('first');
    expect(page).toMatchObject({ status: 200, text: 'version 1' });
  });

  it('does nothing when nothing has changed', async () => {
    const cwd = paas.source('probe');
    await paas.ok(['push', 'same'], { cwd });
    const before = await paas.ps('same');
    expect(await paas.json(['push', 'same'], { cwd })).toMatchObject({
      ...{ changed: false, release: 1, upload: { files: 0, bytes: 0 }, rollout: null },
    });
    const after = await paas.ps('same');
    expect(after.map(({ id, startedAt }) => [id, startedAt])).toEqual(
      before.map(({ id, startedAt }) => [id, startedAt]),
    );
    expect(await paas.json(['releases', '-a', 'same'])).toHaveLength(1);
  });

  it('replaces the old version without a failed request', async () => {
    const cwd = paas.source('probe');
    await paas.ok(['push', 'rolled', '-i', '2'], { cwd });
    const load = paas.load('rolled');
    await paas.waitFor('the old version to be asked for', () => load.answers.has('version 1'));
    writeFileSync(join(cwd, 'VERSION'), '2');
    const pushed = await paas.json(['push', 'rolled'], { cwd });
    expect(pushed).toMatchObject({ release: 2, changed: true, upload: { files: 1 } });
    await paas.settled('rolled', { web: 2 });
    await paas.waitFor('the new version to be asked for', () => load.answers.has('version 2'));
    const { failures, answers } = await load.stop();
    expect(failures).toEqual([]);
    expect([...answers.keys()].sort()).toEqual(['version 1', 'version 2']);
    expect((await paas.get('rolled')).text).toBe('version 2');
  });
});
