import type { HostRow } from '../../../shared/contracts/api.ts';
import { platformCommand } from '../../command/define.ts';
import { flag } from '../../command/flags.ts';

export default platformCommand(
  {
    summary: 'create hosts ahead of need',
    flags: { number: flag.integer({ char: 'n', min: 1, max: 100, summary: 'how many (1)' }) },
  },
  async ({ ui, client }, { flags }) => {
    const body = { count: flags.number ?? 1 };
    const { hosts } = await client.request<{ hosts: HostRow[] }>({ method: 'POST', path: '/v1/hosts', body });
    ui.show(hosts, () => {
      ui.line(`Being created: ${hosts.map(({ name }) => name).join(', ')}. \`paas hosts\` shows when they are ready.`);
    });
    return 0;
  },
);
