import { formatRoute, parseRoute } from '../../../shared/routes-text.ts';
import { appCommand } from '../../command/define.ts';

export default appCommand(
  {
    summary: 'take a route away from an app',
    args: { route: { summary: 'shop.example.com, *.example.com, example.com/api', required: true } },
  },
  async ({ ui, client, app }, { args }) => {
    const body = { route: formatRoute(parseRoute(args['route']!)) };
    const path = `${app.path}/routes`;
    const { route, changed } = await client.request<{ route: string; changed: boolean }>({
      method: 'DELETE',
      path,
      body,
    });
    ui.show({ app: app.name, route, changed }, () =>
      ui.line(`${route} ${changed ? 'no longer leads to' : 'did not lead to'} ${app.name}.`),
    );
    return 0;
  },
);
