/** One-offs that nobody wants any more when they would begin. */
import { afterEach, expect, it } from 'vitest';
import { runOnce } from '../../../../src/control/deploy/once.ts';
import { appUrl } from '../../../support/api.ts';
import { Matrix, pushBody } from '../rollout/matrix-world.ts';

let m: Matrix;
afterEach(() => m.control.close());

const oneOffs = async (): Promise<string[]> => {
  const made = m.control.store.db.selectFrom('instances').selectAll().where('command', 'is not', null);
  return (await made.execute()).map((row) => `${row.process_type}.${row.ordinal} v${row.release}`);
};

it.each([
  ['cancel', () => m.post('/rollout/cancel')],
  ['push of another', async () => m.post('/pushes', await pushBody(m.control, 'three'))],
  ['change of config', () => m.api.call('PATCH', `${appUrl}/config`, { body: { set: { MORE: '1' }, unset: [] } })],
  ['destroy', () => m.api.call('DELETE', appUrl)],
])('a release command does not begin after a %s', async (_, other) => {
  m = await Matrix.in('steady');
  await m.begin({ release: './migrate' });
  await m.until(async () => (await m.active())?.state === 'releasing');
  m.beforeCommit(other);
  await m.control.reconcileApp(m.appId);
  expect(await oneOffs()).toEqual([]);
  expect(m.control.errors).toEqual([]);
  const failed = (await m.control.events.list({})).filter(({ kind }) => kind === 'deployment.failed');
  expect(failed).toEqual([]);
});

it.each(['under way', 'over'])('a task does not begin when a destroy that came meanwhile is %s', async (how) => {
  m = await Matrix.in('steady');
  const { release, epoch } = (await m.appIfAny())!;
  m.beforeCommit(async () => {
    await m.api.call('DELETE', appUrl);
    if (how === 'over') while (await m.appIfAny()) await m.round();
  });
  const once = { processType: 'run', kind: 'task', command: 'true', memoryMb: 64, tag: 'run_1' } as const;
  const begun = runOnce(m.control, m.appId, { ...once, release: release ?? 0, epoch });
  await expect(begun).rejects.toMatchObject({ code: 'conflict' });
  expect(await oneOffs()).toEqual([]);
});
