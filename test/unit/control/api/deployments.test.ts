import { afterEach, describe, expect, it } from 'vitest';
import { appUrl } from '../../../support/api.ts';
import { Matrix, type State } from '../rollout/matrix-world.ts';

let matrix: Matrix | undefined;
afterEach(() => matrix?.control.close());

const progress = async (state: State) => {
  matrix = await Matrix.in(state);
  return (await matrix.api.get(`${appUrl}/rollout`)).body;
};

describe('the progress of an app', () => {
  it.each(['building', 'releasing'] as const)(
    'is that of the push while it is %s, not of the one before',
    async (state) => {
      const now = await progress(state);
      expect(now).toMatchObject({
        rollout: null,
        deployment: { kind: 'push', state, rollout: null, finishedAt: null },
      });
      await matrix!.post('/rollout/cancel');
      const after = (await matrix!.api.get(`${appUrl}/rollout`)).body;
      expect(after).toMatchObject({ rollout: { to: 1, state: 'succeeded' }, deployment: { state: 'cancelled' } });
    },
  );

  it('is not over while a push waits in line', async () => {
    expect(await progress('queued')).toMatchObject({
      rollout: null,
      deployment: { state: 'queued', finishedAt: null },
    });
  });

  it('is that of its rollout from then on, and of the last one afterwards', async () => {
    expect(await progress('rolling')).toMatchObject({
      rollout: { to: 2, state: 'running' },
      deployment: { state: 'rolling' },
    });
    await matrix!.control.close();
    expect(await progress('steady')).toMatchObject({
      rollout: { to: 1, state: 'succeeded' },
      deployment: { state: 'succeeded' },
    });
  });
});
