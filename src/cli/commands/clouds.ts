import { platformCommand } from '../command/define.ts';

interface Row {
  name: string;
  driver: string;
  endpoint: string | null;
  hosts: number;
}

export default platformCommand({ summary: 'list cloud accounts' }, async ({ ui, client, signal }) => {
  const { clouds } = await client.request<{ clouds: Row[] }>({ method: 'GET', path: '/v1/clouds', signal });
  ui.show(clouds, () => {
    if (clouds.length === 0) ui.line('There are no clouds. `paas clouds add NAME --driver D` adds one.');
    else
      ui.table(
        ['CLOUD', 'DRIVER', 'HOSTS#', 'ENDPOINT'],
        clouds.map(({ name, driver, hosts, endpoint }) => [name, driver, String(hosts), endpoint ?? '-']),
      );
  });
  return 0;
});
