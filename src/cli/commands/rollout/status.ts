import type { RolloutView } from '../../../shared/contracts/api.ts';
import { appCommand } from '../../command/define.ts';
import { showRollout } from '../../deploy/rollout.ts';

export default appCommand({ summary: 'show the rollout under way, or the last one' }, async (context) => {
  const { client, signal, app } = context;
  const { rollout } = await client.request<{ rollout: RolloutView | null }>({
    method: 'GET',
    path: `${app.path}/rollout`,
    signal,
  });
  showRollout(context, rollout);
  return 0;
});
