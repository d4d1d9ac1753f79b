import type { GrayView } from '../../../shared/contracts/api.ts';
import { appCommand } from '../../command/define.ts';
import { change } from '../../deploy/done.ts';
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
    const path = `/gray/${encodeURIComponent(args['rule']!)}`;
    showGray(context, await change<GrayView>(context, 'DELETE', path));
    return 0;
  },
);
