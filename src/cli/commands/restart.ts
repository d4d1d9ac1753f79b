import type { DeploymentResponse } from '../../shared/contracts/api.ts';
import { appCommand } from '../command/define.ts';
import { waitFlags } from '../command/flags.ts';
import { finish } from '../deploy/done.ts';

export default appCommand(
  {
    summary: 'replace instances by fresh ones, without interruption',
    args: { which: { summary: 'a process (web) or an instance (web.2); default: all' } },
    flags: waitFlags,
  },
  async (context, { flags, args }) => {
    const { client, signal, app } = context;
    const { which } = args;
    const body = which === undefined ? {} : which.includes('.') ? { instance: which } : { process: which };
    const { deployment } = await client.request<DeploymentResponse>({
      method: 'POST',
      path: `${app.path}/restart`,
      body,
      signal,
    });
    return finish(context, deployment, flags, {
      done: `Restarted ${which ?? app.name}.`,
      nothing: `${which ?? app.name} has nothing to restart.`,
    });
  },
);
