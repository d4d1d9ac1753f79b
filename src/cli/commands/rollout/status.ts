import { appCommand } from '../../command/define.ts';
import { watchFlags, watchRollout } from '../../deploy/rollout-watch.ts';

export default appCommand(
  { summary: 'show the rollout under way, or the last one', flags: watchFlags },
  (context, { flags }) => watchRollout(context, flags.watch),
);
