import type { GrayView } from '../../../shared/contracts/api.ts';
import { appCommand } from '../../command/define.ts';
import { showGray } from '../../deploy/gray.ts';

export default appCommand(
  {
    summary: 'take a gray rule away',
    args: {
      app: { summary: 'its name', required: true },
      rule: { summary: 'the rule, see `paas gray`', required: true },
    },
  },
  async (context, { args }) => {
    const { client, signal, app } = context;
    const path = `${app.path}/gray/${encodeURIComponent(args['rule']!)}`;
    showGray(context, await client.request<GrayView>({ method: 'DELETE', path, signal }));
    return 0;
  },
);
