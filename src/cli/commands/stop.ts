import type { DeploymentResponse } from '../../shared/contracts/api.ts';
import { appCommand } from '../command/define.ts';
import { waitFlags } from '../command/flags.ts';
import { change, finish } from '../deploy/done.ts';

export default appCommand(
  { summary: 'stop an app; it keeps its releases, config and formation', flags: waitFlags },
  async (context, { flags }) => {
    const { app } = context;
    const { deployment } = await change<DeploymentResponse>(context, 'POST', '/stop', {});
    return finish(context, deployment, flags, {
      done: `${app.name} is stopped.`,
      nothing: `${app.name} is stopped already.`,
    });
  },
);
