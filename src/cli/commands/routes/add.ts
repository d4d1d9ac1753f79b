import { formatRoute, parseRoute } from '../../../shared/routes-text.ts';
import { appCommand } from '../../command/define.ts';

export default appCommand(
  {
    summary: 'serve an app at HOST or HOST/PATH',
    args: { route: { summary: 'shop.example.com, *.example.com, example.com/api', required: true } },
  },
  async ({ ui, client, signal, app }, { args }) => {
    // Read here too, so that a slip of the pen needs no platform to be found.
    const body = { route: formatRoute(parseRoute(args['route']!)) };
    const { route, changed } = await client.request<{ route: string; changed: boolean }>({
      method: 'POST',
      path: `${app.path}/routes`,
      body,
      signal,
    });
    ui.show({ app: app.name, route, changed }, () =>
      ui.line(changed ? `${route} leads to ${app.name}.` : `${route} led to ${app.name} already.`),
    );
    return 0;
  },
);
