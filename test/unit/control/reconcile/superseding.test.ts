import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openConfig } from '../../../../src/control/agents/assignments.ts';
import { formationOf } from '../../../../src/control/deploy/apps.ts';
import { abandonRollouts } from '../../../../src/control/deploy/deployments.ts';
import * as life from '../../../support/app-life.ts';
import { addHost, addRouter, makeControl, type TestControl } from '../../../support/control.ts';

let control: TestControl;
let world: life.Life;
beforeEach(async () => {
  control = await makeControl();
  await addHost(control, 'h1');
  await addHost(control, 'h2');
  world = { control, router: await addRouter(control) };
});
afterEach(() => control.close());

const push = (text: string, instances: number, size: { memoryMb?: number } = {}) => ({
  files: life.plainApp(text),
  spec: { processes: { web: { kind: 'web', command: './run', instances, ...size } }, config: { TEXT: text } },
});
/** How many of a release run, by size. */
async function sizes(appId: string, release: number): Promise<Record<number, number>> {
  const { db } = control.store;
  const all = db.selectFrom('instances').select('memory_mb').where('app_id', '=', appId).where('ended_at', 'is', null);
  const rows = await all.where('release', '=', release).where('desired', '=', 'run').execute();
  const counts: Record<number, number> = {};
  for (const { memory_mb: mb } of rows) counts[mb] = (counts[mb] ?? 0) + 1;
  return counts;
}
const up = async (appId: string): Promise<number> =>
  (await life.instancesOf(control, appId)).filter((line) => line.endsWith('run healthy')).length;
const web = async (appId: string) => formationOf(await life.appOf(control, appId))['web']!.instances;
const config = async (appId: string) => openConfig(control, appId, (await life.appOf(control, appId)).config_version);

/** v1 runs in full; v2 is half way, v3 supersedes it. */
async function halfWay(): Promise<{ appId: string; second: string; third: string }> {
  const { app_id: appId } = await life.pushApp(world, push('one', 4));
  const { id: second } = await life.beginPush(control, push('two', 4));
  await life.live(world, appId, async () => (await life.instancesOf(control, appId)).includes('web.2 v2 run healthy'));
  const { id: third } = await life.beginPush(control, push('three', 4));
  return { appId, second, third };
}

describe('a push that supersedes another', () => {
  it('ends it, and replaces all that both releases have left', async () => {
    const { appId, second, third } = await halfWay();
    expect(await life.deploymentOf(control, second)).toMatchObject({ state: 'superseded' });
    expect((await life.finished(world, third)).state).toBe('succeeded');
    expect(new Set(await life.instancesOf(control, appId))).toEqual(
      new Set([1, 2, 3, 4].map((n) => `web.${n} v3 run healthy`)),
    );
    const rollouts = await control.store.db.selectFrom('rollouts').select('state').orderBy('created_at').execute();
    expect(rollouts.map(({ state }) => state)).toEqual(['succeeded', 'superseded', 'succeeded']);
  });

  it('keeps as many healthy as there were, also while it builds', async () => {
    const { appId, third } = await halfWay();
    // No host can build for a while.
    const roles = (value: string) =>
      control.store.db.updateTable('hosts').set({ roles: value }).where('id', 'in', ['h1', 'h2']).execute();
    await roles('["compute"]');
    for (let i = 0; i < 8; i++) {
      await life.round(world, appId);
      expect(await up(appId)).toBeGreaterThanOrEqual(4);
    }
    expect((await life.deploymentOf(control, third)).state).toBe('building');
    expect(await life.instancesOf(control, appId)).toEqual([1, 2, 3, 4].map((n) => `web.${n} v1 run healthy`));
    await roles('["compute","build"]');
    expect((await life.finished(world, third)).state).toBe('succeeded');
  });

  it('and fails goes back to what was in force before both', async () => {
    const { app_id: appId } = await life.pushApp(world, push('one', 2));
    await life.beginPush(control, push('two', 4));
    await life.round(world, appId);
    expect(await web(appId)).toBe(4);
    const behave: life.Behaviour = (row) => (row.release >= 3 ? life.crashed(row) : life.healthy(row));
    const { id: third } = await life.beginPush(control, push('three', 3));
    expect(await web(appId)).toBe(2);
    expect((await life.finished({ ...world, behave }, third)).state).toBe('failed');
    expect(await web(appId)).toBe(2);
    expect(await config(appId)).toEqual({ TEXT: 'one' });
    expect(await life.instancesOf(control, appId)).toEqual(['web.1 v1 run healthy', 'web.2 v1 run healthy']);
  });
});

describe('the release in force', () => {
  it('keeps its own memory where a push that asks for another takes the place of one half way, and fails', async () => {
    const { appId } = await halfWay();
    const { id } = await life.beginPush(control, push('four', 4, { memoryMb: 256 }));
    const behave: life.Behaviour = (row) => (row.release >= 3 ? life.crashed(row) : life.healthy(row));
    expect((await life.finished({ ...world, behave }, id)).state).toBe('failed');
    expect(await sizes(appId, 1)).toEqual({ 512: 4 });
  });

  it('keeps its number while a push that asks for another one begins', async () => {
    const { app_id: appId } = await life.pushApp(world, push('one', 2));
    const { id } = await life.beginPush(control, push('two', 4));
    await life.live(world, appId, async () => {
      expect(Object.values(await sizes(appId, 1))[0] ?? 0).toBeLessThanOrEqual(2);
      return (await life.deploymentOf(control, id)).finished_at !== null;
    });
  });

  it('is not started by a push of another one to a stopped app', async () => {
    const { app_id: appId } = await life.pushApp(world, push('one', 2));
    await control.store.db.updateTable('apps').set({ state: 'stopped' }).execute();
    await life.live(world, appId, async () => (await life.instancesOf(control, appId)).length === 0);
    const { id } = await life.beginPush(control, push('two', 2));
    await life.live(world, appId, async () => {
      expect(await sizes(appId, 1)).toEqual({});
      return (await life.deploymentOf(control, id)).finished_at !== null;
    });
    expect(await life.instancesOf(control, appId)).toEqual(['web.1 v2 run healthy', 'web.2 v2 run healthy']);
  });
});

describe('the steady state', () => {
  it('lets what a cancelled rollout left serve until the release in force is back in full', async () => {
    const { app_id: appId } = await life.pushApp(world, push('one', 4));
    const { id } = await life.beginPush(control, push('two', 4));
    await life.live(world, appId, async () =>
      (await life.instancesOf(control, appId)).includes('web.2 v2 run healthy'),
    );
    await control.store.transaction(async (trx) => {
      await abandonRollouts(trx, appId, 'cancelled');
      await trx.updateTable('deployments').set({ state: 'cancelled', finished_at: 1 }).where('id', '=', id).execute();
      await trx.updateTable('apps').set({ active_deployment: null }).execute();
    });
    for (let i = 0; i < 6; i++) {
      await life.round(world, appId);
      expect(await up(appId)).toBeGreaterThanOrEqual(4);
    }
    expect(await life.instancesOf(control, appId)).toEqual([1, 2, 3, 4].map((n) => `web.${n} v1 run healthy`));
    expect(await config(appId)).toEqual({ TEXT: 'one' });
  });

  it('places what was lost again', async () => {
    const { app_id: appId } = await life.pushApp(world, push('one', 2));
    await control.store.db
      .updateTable('instances')
      .set({ ended_at: 1, state: 'lost' })
      .where('ordinal', '=', 1)
      .execute();
    await life.round(world, appId);
    expect(await life.instancesOf(control, appId)).toEqual(['web.1 v1 run healthy', 'web.2 v1 run healthy']);
  });
});

describe('waiting pushes', () => {
  it('begin in their order when the one before has ended', async () => {
    const { app_id: appId } = await life.pushApp(world, push('one', 1));
    const { id: second } = await life.beginPush(control, push('two', 1));
    const { id: third } = await life.beginPush(control, push('three', 1));
    // As the API records them with `concurrent: wait`.
    await control.store.db
      .updateTable('deployments')
      .set({ state: 'queued', created_at: 1, finished_at: null })
      .where('id', '=', second)
      .execute();
    await control.store.db
      .updateTable('deployments')
      .set({ state: 'queued', created_at: 2 })
      .where('id', '=', third)
      .execute();
    await control.store.db.updateTable('apps').set({ active_deployment: null }).execute();
    expect((await life.finished(world, third)).state).toBe('succeeded');
    expect((await life.deploymentOf(control, second)).state).toBe('succeeded');
    expect(await life.instancesOf(control, appId)).toEqual(['web.1 v3 run healthy']);
  });
});
