import { PaasError } from '../../../shared/errors.ts';
import { formatRoute, parseRoute } from '../../../shared/routes-text.ts';
import { appCommand } from '../../command/define.ts';
import { flag } from '../../command/flags.ts';

interface Answer {
  route: string;
  changed: boolean;
  /** What keeps it from working as it is meant. */
  warnings: string[];
}

export default appCommand(
  {
    summary: 'serve an app at HOST or HOST/PATH',
    args: { route: { summary: 'shop.example.com, *.example.com, example.com/api', required: true } },
    flags: {
      https: flag.boolean({ summary: 'send requests over plain HTTP on to https:// (308)' }),
      'no-https': flag.boolean({ summary: 'answer requests over plain HTTP, as a new route does' }),
    },
    examples: [['paas routes add shop.example.com --https', 'also for a route that the app has already']],
  },
  async ({ ui, client, app }, { args, flags }) => {
    if (flags.https && flags['no-https'])
      throw new PaasError('usage', 'Which one: --https or --no-https?', { hint: 'Give one of them.' });
    const https = flags.https ? true : flags['no-https'] ? false : undefined;
    // Read here too, so that a slip of the pen needs no platform to be found.
    const wanted = formatRoute(parseRoute(args['route']!));
    const path = `${app.path}/routes`;
    const body = { route: wanted, https };
    const { route, changed, warnings } = await client.request<Answer>({ method: 'POST', path, body });
    for (const warning of warnings) ui.warn(warning);
    const how = https === undefined ? '' : https ? ', over https:// only' : ', over plain HTTP too';
    ui.show({ app: app.name, route, changed, https, warnings }, () =>
      ui.line(`${route} ${changed ? 'leads to' : 'leads already to'} ${app.name}${how}.`),
    );
    return 0;
  },
);
