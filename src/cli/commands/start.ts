import type { DeploymentResponse } from '../../shared/contracts/api.ts';
import { appCommand } from '../command/define.ts';
import { waitFlags } from '../command/flags.ts';
import { change, finish } from '../deploy/done.ts';

export default appCommand(
  { summary: 'start an app that was stopped', flags: waitFlags },
  async (context, { flags }) => {
    const { app } = context;
    const { deployment } = await change<DeploymentResponse>(context, 'POST', '/start', {});
    return finish(context, deployment, flags, {
      done: `${app.name} runs again.`,
      nothing: `${app.name} runs already.`,
    });
  },
);
