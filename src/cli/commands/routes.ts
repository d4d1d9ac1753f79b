import { appCommand } from '../command/define.ts';

interface Row {
  route: string;
  url: string;
  process: string;
  https: boolean;
}

export default appCommand({ summary: "list an app's routes" }, async ({ ui, client, signal, app }) => {
  const { routes } = await client.request<{ routes: Row[] }>({ method: 'GET', path: `${app.path}/routes`, signal });
  ui.show(routes, () => {
    if (routes.length === 0) ui.line(`${app.name} has no routes. \`paas routes add HOST\` adds one.`);
    else
      ui.table(
        ['ROUTE', 'PROCESS', 'PLAIN HTTP', 'URL'],
        routes.map(({ route, process, https, url }) => [route, process, https ? 'to https://' : 'answered', url]),
      );
  });
  return 0;
});
