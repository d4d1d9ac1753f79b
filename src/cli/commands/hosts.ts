import type { HostRow } from '../../shared/contracts/api.ts';
import { formatSize } from '../../shared/units.ts';
import { platformCommand } from '../command/define.ts';
import { paintState } from '../ui/states.ts';
import { ago } from '../ui/times.ts';

export default platformCommand({ summary: 'list hosts' }, async ({ ui, client, signal }) => {
  const { hosts } = await client.request<{ hosts: HostRow[] }>({ method: 'GET', path: '/v1/hosts', signal });
  ui.show(hosts, () => {
    if (hosts.length === 0) ui.line('There are no hosts yet; the first push creates one.');
    else {
      ui.table(
        ['HOST', 'STATE', 'ROLES', 'CLOUD', 'ADDRESS', 'INSTANCES#', 'CPU#', 'MEMORY#', 'AGENT', 'SEEN#'],
        hosts.map((host) => [
          ...[
            ui.style.bold(host.name),
            paintState(ui.style, host.state),
            host.roles.join(' '),
            host.cloud,
            host.address ?? '-',
            String(host.instances),
          ],
          ...[
            `${host.used.cpu}/${host.capacity.cpu}`,
            `${host.used.memory}/${formatSize(host.capacity.memory)}`,
            host.agentVersion ?? '-',
            ago(host.lastSeen),
          ],
        ]),
      );
      for (const host of hosts) for (const notice of host.notices) ui.line(ui.style.dim(`${host.name}: ${notice}`));
    }
  });
  return 0;
});
