import type { DeploymentResponse } from '../../shared/contracts/api.ts';
import { appCommand } from '../command/define.ts';
import { waitFlags } from '../command/flags.ts';
import { finish } from '../deploy/done.ts';

export default appCommand(
  { summary: 'start an app that was stopped', flags: waitFlags },
  async (context, { flags }) => {
    const { client, signal, app } = context;
    const { deployment } = await client.request<DeploymentResponse>({
      method: 'POST',
      path: `${app.path}/start`,
      body: {},
      signal,
    });
    return finish(context, deployment, flags, {
      done: `${app.name} runs again.`,
      nothing: `${app.name} runs already.`,
    });
  },
);
