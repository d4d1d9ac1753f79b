import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Canary } from '../../../../src/control/rollout/canary.ts';
import { CanaryWindows } from '../../../../src/control/traffic/windows.ts';
import * as life from '../../../support/app-life.ts';
import { addHost, addRouter, makeControl, type TestControl } from '../../../support/control.ts';
import { word } from '../traffic/requests.ts';

let control: TestControl;
let world: life.Life;
let appId: string;
let before: string[];
beforeEach(async () => {
  control = await makeControl();
  await addHost(control, 'h1');
  world = { control, router: await addRouter(control) };
  ({ app_id: appId } = await life.pushApp(world));
  before = await life.instancesOf(control, appId);
  control.traffic.report('r', { epoch: 'a', counts: [] });
});
afterEach(() => control.close());

const rolloutOf = (deployment: string) =>
  control.store.db.selectFrom('rollouts').selectAll().where('deployment_id', '=', deployment).executeTakeFirst();
const canaryOf = async (deployment: string): Promise<Canary | undefined> => {
  const row = await rolloutOf(deployment);
  return row?.canary == null ? undefined : (JSON.parse(row.canary) as Canary);
};
type Requests = Parameters<typeof word>[1];
const answered = (old: Requests, fresh: Requests): unknown =>
  control.traffic.report('r', { epoch: 'a', counts: [word(1, old, { appId }), word(2, fresh, { appId })] });

/** A canary whose first step is reached; answers its deployment. */
async function begin(wish: Record<string, unknown> = {}): Promise<string> {
  const { id } = await life.beginPush(control, {
    ...{ files: life.plainApp('two'), strategy: 'canary', steps: [50], manual: true, analysis: { minRequests: 10 } },
    ...wish,
  });
  await life.live(world, appId, async () => (await canaryOf(id))?.reachedAt != null);
  return id;
}

describe('a canary whose requests fail', () => {
  it('goes back with the figures', async () => {
    const id = await begin();
    answered({ ok: 100 }, { ok: 5, failed: 5 });
    const { state, error } = await life.finished(world, id);
    expect(state).toBe('failed');
    expect(JSON.parse(error!)).toMatchObject({
      code: 'canary_failed',
      message:
        'canary step 1 (50 %): v2 answered 50.0 % of 10 requests with 5xx, v1 0.0 % of 100 (limit: +1.0 points).',
      details: { verdict: 'errors', new: { release: 2, requests: 10 }, old: { release: 1, requests: 100 } },
    });
    expect(await life.instancesOf(control, appId)).toEqual(before);
    expect(control.canaries.apps().size).toBe(0);
  });

  it('is not judged by too few requests, nor by what came before its step', async () => {
    answered({ ok: 1 }, { failed: 90 });
    const id = await begin();
    answered({ ok: 100 }, { ok: 1, failed: 98 });
    for (let n = 0; n < 3; n++) await life.round(world, appId);
    expect((await rolloutOf(id))?.state).toBe('running');
  });

  it('goes back while it is paused, too', async () => {
    const id = await begin();
    await control.store.db.updateTable('rollouts').set({ state: 'paused' }).execute();
    answered({ ok: 100 }, { failed: 10 });
    expect((await life.finished(world, id)).state).toBe('failed');
  });

  it('stays where nobody compares', async () => {
    const id = await begin({ analysis: 'off' });
    answered({ ok: 100 }, { failed: 1000 });
    for (let n = 0; n < 3; n++) await life.round(world, appId);
    expect((await rolloutOf(id))?.state).toBe('running');
  });
});

describe('a control plane that begins anew in the middle of a step', () => {
  const longAgo = async (id: string): Promise<void> => {
    const canary = JSON.stringify({ ...(await canaryOf(id))!, reachedAt: 1000 });
    await control.store.db.updateTable('rollouts').set({ canary }).execute();
    control.canaries = new CanaryWindows(control.traffic);
  };

  it('watches the step from its beginning', async () => {
    const id = await begin({ manual: false, stepWaitMs: 3600_000 });
    await longAgo(id);
    for (let n = 0; n < 3; n++) await life.round(world, appId);
    const canary = await canaryOf(id);
    expect(canary).toMatchObject({ step: 0 });
    expect(canary!.reachedAt).toBeGreaterThan(Date.now() - 60_000);
    answered({ ok: 100 }, { failed: 10 });
    expect((await life.finished(world, id)).state).toBe('failed');
  });

  it('goes on at once where nobody compares', async () => {
    const id = await begin({ manual: false, stepWaitMs: 3600_000, analysis: 'off' });
    await longAgo(id);
    expect((await life.finished(world, id)).state).toBe('succeeded');
  });
});
