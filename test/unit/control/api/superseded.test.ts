/** Commands that wait for what another one has made void: they say so, instead of telling that it is done. */
import { afterEach, expect, it } from 'vitest';
import { appUrl } from '../../../support/api.ts';
import { Matrix, pushBody } from '../rollout/matrix-world.ts';

let m: Matrix;
afterEach(() => m.control.close());

const idOf = ({ body }: { body: unknown }): string => (body as { deployment: { id: string } }).deployment.id;
const stateOf = async (id: string): Promise<string> => {
  const rows = m.control.store.db.selectFrom('deployments').select('state').where('id', '=', id);
  return (await rows.executeTakeFirstOrThrow()).state;
};
const scale = (instances: number) =>
  m.api.call('PATCH', `${appUrl}/formation`, { body: { processes: { web: { instances } } } });

it.each([
  ['start', () => m.post('/start')],
  ['restart', () => m.post('/restart')],
  ['push', async () => m.post('/pushes', await pushBody(m.control, 'two'))],
])('a stop that meets a %s is not told to be done', async (_, start) => {
  m = await Matrix.in('steady');
  const stopped = idOf(await m.post('/stop'));
  expect((await start()).status).toBeLessThan(300);
  await m.settle();
  expect(await stateOf(stopped)).toBe('superseded');
});

it('a scale that meets another one of the same process type is not told to be done', async () => {
  m = await Matrix.in('steady');
  const first = idOf(await scale(6));
  const second = idOf(await scale(2));
  await m.settle(2);
  expect([await stateOf(first), await stateOf(second)]).toEqual(['superseded', 'succeeded']);
  expect(await m.formation()).toEqual(['2 of v1 (512M)']);
});
