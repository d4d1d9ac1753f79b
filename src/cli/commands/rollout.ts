import { appCommand } from '../command/define.ts';
import { watchFlags, watchRollout } from '../deploy/rollout-watch.ts';

export default appCommand(
  {
    summary: 'watch the rollout under way until it ends',
    description:
      'Which instance of which release is where, since when, and what is waited for. On a terminal it is drawn anew until the\n' +
      'rollout ends, and the exit code is that of the push; elsewhere it is printed once, as `paas rollout status` does.',
    flags: watchFlags,
  },
  (context, { flags }) => watchRollout(context, flags.watch || (context.ui.moving && !context.ui.json)),
);
