import { formatRoute, parseRoute } from '../../shared/routes-text.ts';
import { appCommand, type Command } from '../command/define.ts';

/** `paas routes add` and `paas routes remove`. @param words stand between route and app */
export function routeCommand(
  method: 'POST' | 'DELETE',
  summary: string,
  words: { done: string; nothing: string },
): Command {
  const args = { route: { summary: 'shop.example.com, *.example.com, example.com/api', required: true } };
  return appCommand({ summary, args }, async ({ ui, client, app }, invocation) => {
    // Read here too, so that a slip of the pen needs no platform to be found.
    const body = { route: formatRoute(parseRoute(invocation.args['route']!)) };
    const { route, changed } = await client.request<{ route: string; changed: boolean }>({
      method,
      path: `${app.path}/routes`,
      body,
    });
    ui.show({ app: app.name, route, changed }, () =>
      ui.line(`${route} ${changed ? words.done : words.nothing} ${app.name}.`),
    );
    return 0;
  });
}
