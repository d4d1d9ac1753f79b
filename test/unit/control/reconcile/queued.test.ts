/** A push that waits, and somebody who comes just as its turn has come. */
import { afterEach, expect, it } from 'vitest';
import { appUrl } from '../../../support/api.ts';
import * as life from '../../../support/app-life.ts';
import { Matrix, pushBody } from '../rollout/matrix-world.ts';

let m: Matrix;
afterEach(() => m.control.close());

/** One push was under way and has ended, another waited for it: `other` comes as that one begins. Answers its id. */
async function asItBegins(other: () => Promise<unknown>): Promise<string> {
  m = await Matrix.in('queued');
  const waiting = (await m.open()).find(({ state }) => state === 'queued')!;
  await m.post('/rollout/cancel');
  m.beforeCommit(other);
  await m.control.reconcileApp(m.appId);
  return waiting.id;
}

it('a push that supersedes it is the one that is rolled out', async () => {
  let next: unknown;
  const waiting = await asItBegins(async () => {
    next = (await m.post('/pushes', await pushBody(m.control, 'four'))).body['id'];
  });
  expect((await life.deploymentOf(m.control, waiting)).state).toBe('superseded');
  expect((await m.active())?.id).toBe(next);
  await m.unblock();
  await m.settle(4);
  expect((await life.deploymentOf(m.control, String(next))).state).toBe('succeeded');
  expect(await m.count(2)).toBe(4);
});

it('a cancel holds, also when a change of config or a restart follows', async () => {
  const waiting = await asItBegins(() => m.post('/rollout/cancel'));
  expect(await m.active()).toBeUndefined();
  await m.unblock();
  await m.api.call('PATCH', `${appUrl}/config`, { body: { set: { MORE: '1' }, unset: [] } });
  await m.post('/restart');
  await m.settle(4);
  expect((await life.deploymentOf(m.control, waiting)).state).toBe('cancelled');
  expect((await m.kept()).config).toEqual({ TEXT: 'one', MORE: '1' });
});

it('a change that meets a deployment which has ended does not bring it back', async () => {
  m = await Matrix.in('building');
  const { id } = (await m.active())!;
  await m.post('/rollout/cancel');
  // As data of an earlier version may have it.
  await m.control.store.db.updateTable('apps').set({ active_deployment: id }).execute();
  await m.unblock();
  await m.post('/restart');
  await m.settle(4);
  expect((await life.deploymentOf(m.control, id)).state).toBe('cancelled');
});
