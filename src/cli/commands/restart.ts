import type { DeploymentResponse } from '../../shared/contracts/api.ts';
import { appCommand } from '../command/define.ts';
import { waitFlags } from '../command/flags.ts';
import { change, finish } from '../deploy/done.ts';

export default appCommand(
  {
    summary: 'replace instances by fresh ones, without interruption',
    args: { which: { summary: 'a process (web) or an instance (web.2); default: all' } },
    flags: waitFlags,
  },
  async (context, { flags, args }) => {
    const { app } = context;
    const { which } = args;
    const body = which === undefined ? {} : which.includes('.') ? { instance: which } : { process: which };
    const { deployment } = await change<DeploymentResponse>(context, 'POST', '/restart', body);
    return finish(context, deployment, flags, {
      done: `Restarted ${which ?? app.name}.`,
      nothing: `${which ?? app.name} has nothing to restart.`,
    });
  },
);
