/** A scale during a push that brings another size of its own: what was asked for stays, and nothing else. */
import { afterEach, expect, it } from 'vitest';
import { appUrl } from '../../../support/api.ts';
import { Matrix, pushBody } from './matrix-world.ts';

let m: Matrix;
afterEach(() => m.control.close());

/** v1 has four of 512 MiB; v2, half way, four of 256. */
async function cancelled(wish: object): Promise<string[]> {
  m = await Matrix.in('rolling');
  const answer = await m.api.call('PATCH', `${appUrl}/formation`, { body: { processes: { web: wish } } });
  expect(answer.status).toBe(200);
  await m.round();
  await m.post('/rollout/cancel');
  await m.settle(4);
  return m.formation();
}

it('of the number leaves the old release its memory', async () => {
  expect(await cancelled({ instances: 6 })).toEqual(['6 of v1 (512M)']);
  expect((await m.kept()).formation['web']).toMatchObject({ instances: 6, memoryMb: 512 });
});

it('of the memory leaves the old release its number', async () => {
  expect(await cancelled({ memoryMb: 1024 })).toEqual(['4 of v1 (1024M)']);
});

it('to the very memory that the push brings holds for the old release too', async () => {
  expect(await cancelled({ memoryMb: 256 })).toEqual(['4 of v1 (256M)']);
  expect((await m.kept()).formation['web']).toMatchObject({ instances: 4, memoryMb: 256 });
});

it.each(['succeeds', 'fails', 'is cancelled'])(
  'of the memory stays where a push that %s comes before it is done',
  async (how) => {
    m = await Matrix.in('steady');
    await m.api.call('PATCH', `${appUrl}/formation`, { body: { processes: { web: { memoryMb: 1024 } } } });
    for (let i = 0; i < 2; i++) await m.round();
    if (how === 'fails') m.broken.add(2);
    await m.post('/pushes', await pushBody(m.control, 'two'));
    await m.round();
    if (how === 'is cancelled') await m.post('/rollout/cancel');
    await m.settle(4);
    expect(await m.formation()).toEqual([`4 of v${how === 'succeeds' ? 2 : 1} (1024M)`]);
    expect((await m.kept()).formation['web']).toMatchObject({ instances: 4, memoryMb: 1024 });
  },
);

it('of a process type is not lost where a release without that type comes between', async () => {
  const process = (kind: string) => ({ kind, command: './run', instances: 1, memoryMb: 128 });
  const both = { processes: { web: process('web'), worker: process('worker') } };
  m = await Matrix.in('steady');
  await m.post('/pushes', await pushBody(m.control, 'two', { spec: both }));
  await m.settle(1);
  await m.api.call('PATCH', `${appUrl}/formation`, {
    body: { processes: { worker: { instances: 3, memoryMb: 1024 } } },
  });
  await m.settle(1);
  await m.post('/pushes', await pushBody(m.control, 'three', { spec: { processes: { web: process('web') } } }));
  await m.settle(1);
  expect((await m.kept()).formation).not.toHaveProperty('worker');
  await m.post('/rollback');
  await m.settle(1);
  expect(await m.formation()).toContain('3 of v4 (1024M)');
});
