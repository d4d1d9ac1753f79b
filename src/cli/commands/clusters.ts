import { platformCommand } from '../command/define.ts';

interface Row {
  name: string;
  cloud: string;
  engine: string;
  hosts: number;
  maxHosts: number;
}

export default platformCommand({ summary: 'list clusters' }, async ({ ui, client, signal }) => {
  const { clusters } = await client.request<{ clusters: Row[] }>({ method: 'GET', path: '/v1/clusters', signal });
  ui.show(clusters, () => {
    ui.table(
      ['CLUSTER', 'CLOUD', 'ENGINE', 'HOSTS#', 'AT MOST#'],
      clusters.map(({ name, cloud, engine, hosts, maxHosts }) => [
        name,
        cloud,
        engine,
        String(hosts),
        String(maxHosts),
      ]),
    );
  });
  return 0;
});
