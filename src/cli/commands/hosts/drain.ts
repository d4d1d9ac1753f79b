import { platformCommand } from '../../command/define.ts';

export default platformCommand(
  {
    summary: 'move the instances of a host elsewhere, and give it no new ones',
    args: { host: { summary: 'its name', required: true } },
  },
  async ({ ui, client }, { args }) => {
    const host = args['host']!;
    const answer = await client.request({
      method: 'POST',
      path: `/v1/hosts/${encodeURIComponent(host)}/drain`,
      body: {},
    });
    ui.show(answer, () => ui.line(`${host} is being drained. \`paas hosts\` shows when it is empty.`));
    return 0;
  },
);
