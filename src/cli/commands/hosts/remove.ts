import { platformCommand } from '../../command/define.ts';
import { yesFlag } from '../../command/flags.ts';
import { confirm } from '../../ui/prompt.ts';

export default platformCommand(
  {
    summary: 'drain a host, then destroy it',
    args: { host: { summary: 'its name', required: true } },
    flags: { yes: yesFlag },
  },
  async ({ ui, client, signal }, { args, flags }) => {
    const host = args['host']!;
    await confirm(ui, `The host ${host} will be destroyed; its instances move elsewhere first.`, {
      yes: flags.yes,
      signal,
    });
    const answer = await client.request({ method: 'DELETE', path: `/v1/hosts/${encodeURIComponent(host)}` });
    ui.show(answer, () => ui.line(`${host} is being drained and then destroyed. \`paas hosts\` shows it until then.`));
    return 0;
  },
);
