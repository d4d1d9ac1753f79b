/** When a rollout is over: not before the routers know what has left, since whoever waited for it asks the app next. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import * as life from '../../../support/app-life.ts';
import { addHost, addRouter, makeControl, type TestControl } from '../../../support/control.ts';

let control: TestControl;
let router: Awaited<ReturnType<typeof addRouter>>;
let world: life.Life;
let appId: string;
beforeEach(async () => {
  control = await makeControl();
  await addHost(control, 'h1');
  router = await addRouter(control);
  world = { control, router };
  ({ app_id: appId } = await life.pushApp(world));
});
afterEach(() => control.close());

const rolloutOf = () =>
  control.store.db
    .selectFrom('rollouts')
    .select(['state', 'waits_for'])
    .orderBy('created_at', 'desc')
    .limit(1)
    .executeTakeFirstOrThrow();

/** The releases of the endpoints in the newest table. */
const released = () =>
  Object.values(control.routing.table.backends).flatMap(({ endpoints }) => endpoints.map(({ release }) => release));

/** Everybody works but the routers, which stay with the table that they have. */
async function withoutRouters(rounds = 5): Promise<void> {
  for (let i = 0; i < rounds; i++) await life.round({ control, router: { acknowledge: () => undefined } }, appId);
}

describe('a rollout', () => {
  it('has succeeded when no router sends anything to the old release', async () => {
    const { id } = await life.beginPush(control, { files: life.plainApp('two') });
    await life.live(world, appId, () => Promise.resolve(released().includes(2)));
    expect(released()).toEqual([1, 2]);
    // The routers know the new instance, and are slow to take up the table without the old one.
    await withoutRouters();
    expect(released()).toEqual([2]);
    expect((await life.deploymentOf(control, id)).state).toBe('rolling');
    expect(await rolloutOf()).toEqual({ state: 'running', waits_for: 'every router to know what leaves' });
    router.acknowledge();
    await withoutRouters();
    expect((await life.deploymentOf(control, id)).state).toBe('succeeded');
  });

  it('was cancelled when no router sends anything to the new release', async () => {
    const flags = { strategy: 'canary', steps: [50], manual: true };
    const { id } = await life.beginPush(control, { files: life.plainApp('two'), ...flags });
    await life.live(world, appId, () => Promise.resolve(released().includes(2)));
    await control.store.db
      .updateTable('rollouts')
      .set({ state: 'cancelling' })
      .where('finished_at', 'is', null)
      .execute();
    await withoutRouters();
    expect(released()).toEqual([1]);
    expect((await life.deploymentOf(control, id)).state).toBe('rolling');
    router.acknowledge();
    await withoutRouters();
    expect((await life.deploymentOf(control, id)).state).toBe('cancelled');
  });

  it('waits no longer than requests of what leaves may', async () => {
    const { id } = await life.beginPush(control, { files: life.plainApp('two') });
    await life.live(world, appId, () => Promise.resolve(released().includes(2)));
    await withoutRouters();
    await control.store.db.updateTable('instances').set({ drain_at: 1 }).where('desired', '=', 'drain').execute();
    await withoutRouters();
    expect((await life.deploymentOf(control, id)).state).toBe('succeeded');
  });
});
