import { platformCommand } from '../command/define.ts';
import { flag, yesFlag } from '../command/flags.ts';
import { down } from '../platform/down.ts';
import { Progress } from '../ui/progress.ts';
import { confirm } from '../ui/prompt.ts';

export default platformCommand(
  {
    summary: 'stop the platform of this machine with all its apps',
    description: 'The next `paas up` brings everything back as it was.',
    flags: {
      purge: flag.boolean({ summary: 'remove its data too: apps, releases, config, logs' }),
      yes: yesFlag,
      timeout: flag.duration({ summary: 'give up waiting for the hosts after so long (2m)' }),
    },
    examples: [['paas down --purge --yes', 'remove every trace of it']],
  },
  async ({ ui, home, env, signal }, { flags }) => {
    const { purge, yes, timeout } = flags;
    if (purge) await confirm(ui, `All apps and data of the platform in ${home} will be removed.`, { yes, signal });
    const progress = new Progress(ui);
    try {
      const result = await down({ home, env, purge, progress, signal, timeoutMs: timeout ?? 120_000 });
      progress.stop();
      ui.show(result, () => {
        ui.line(result.stopped.length === 0 ? 'The platform does not run.' : 'The platform is stopped.');
        if (purge) ui.line('Its data are removed.');
      });
      return 0;
    } finally {
      progress.stop();
    }
  },
);
