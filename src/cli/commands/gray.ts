import type { GrayView } from '../../shared/contracts/api.ts';
import { appCommand } from '../command/define.ts';
import { showGray } from '../deploy/gray.ts';

export default appCommand(
  { summary: 'show which requests go to which release', args: { app: { summary: 'its name' } } },
  async (context) => {
    const { client, signal, app } = context;
    showGray(context, await client.request<GrayView>({ method: 'GET', path: `${app.path}/gray`, signal }));
    return 0;
  },
);
