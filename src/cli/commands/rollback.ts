import type { DeploymentResponse } from '../../shared/contracts/api.ts';
import { PaasError } from '../../shared/errors.ts';
import { appCommand } from '../command/define.ts';
import { waitFlags } from '../command/flags.ts';
import { change, finish } from '../deploy/done.ts';

export default appCommand(
  {
    summary: 'go back to an earlier release: its image and config, in a new release',
    description: 'The formation (`paas scale`) stays as it is.',
    args: { release: { summary: 'v12; default: the last one that was live before' } },
    flags: waitFlags,
    examples: [['paas rollback v12', 'see `paas releases` for what there is']],
  },
  async (context, { flags, args }) => {
    const { app } = context;
    const number = args['release'] === undefined ? undefined : /^v?([1-9]\d{0,8})$/.exec(args['release'])?.[1];
    if (args['release'] !== undefined && number === undefined) {
      throw new PaasError('usage', `\`${args['release']}\` is no release.`, {
        hint: `Write it as in \`v12\`; \`paas releases${app.flags}\` lists them.`,
      });
    }
    const body = number === undefined ? {} : { to: Number(number) };
    const { deployment } = await change<DeploymentResponse>(context, 'POST', '/rollback', body);
    const release = deployment?.release == null ? 'the new release' : `v${deployment.release}`;
    return finish(context, deployment, flags, {
      done: `Rolled back: ${app.name} runs ${release}.`,
      nothing: 'That is what runs already.',
    });
  },
);
