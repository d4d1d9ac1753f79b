import { afterEach, expect, it } from 'vitest';
import { runOnce } from '../../../../src/control/deploy/once.ts';
import { Matrix } from '../rollout/matrix-world.ts';

let matrix: Matrix | undefined;
afterEach(() => matrix?.control.close());

it('a task that finds no room takes no rollout back that has all the room it needs', async () => {
  matrix = await Matrix.in('canary-manual');
  const { control, appId } = matrix;
  const { hostMemoryMb } = control.settings.cluster;
  const once = { release: 2, epoch: 1, processType: 'run', kind: 'task' as const, command: './report', tag: 'x' };
  await runOnce(control, appId, { ...once, memoryMb: hostMemoryMb * 2 });
  for (let i = 0; i < 5; i++) await matrix.round();
  expect(await matrix.rollout()).toMatchObject({ state: 'running', error: null });
  await matrix.post('/rollout/cancel');
  await matrix.settle();
  expect(await matrix.rollout()).toBeUndefined();
});
