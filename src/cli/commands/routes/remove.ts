import { formatRoute, parseRoute } from '../../../shared/routes-text.ts';
import { appCommand } from '../../command/define.ts';

export default appCommand(
  {
    summary: 'take a route away from an app',
    args: { route: { summary: 'shop.example.com, *.example.com, example.com/api', required: true } },
  },
  async ({ ui, client, signal, app }, { args }) => {
    // Read here too, so that a slip of the pen needs no platform to be found.
    const body = { route: formatRoute(parseRoute(args['route']!)) };
    const { route, changed } = await client.request<{ route: string; changed: boolean }>({
      method: 'DELETE',
      path: `${app.path}/routes`,
      body,
      signal,
    });
    ui.show({ app: app.name, route, changed }, () =>
      ui.line(changed ? `${route} no longer leads to ${app.name}.` : `${route} did not lead to ${app.name}.`),
    );
    return 0;
  },
);
