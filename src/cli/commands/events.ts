import type { EventRow } from '../../shared/contracts/api.ts';
import { streamEvents } from '../client/index.ts';
import { platformCommand } from '../command/define.ts';
import { appFlags, flag } from '../command/flags.ts';
import { oneLine } from '../ui/table.ts';

export default platformCommand(
  {
    summary: 'show what the platform did and who asked for it',
    streams: true,
    description:
      'Of one app where one is named (-a, PAAS_APP, the manifest in this directory), else of the whole platform.',
    flags: {
      ...appFlags,
      all: flag.boolean({ summary: 'of the whole platform, whatever this directory is about' }),
      tail: flag.boolean({ char: 't', summary: 'go on with new ones as they come' }),
      lines: flag.integer({ char: 'n', min: 1, max: 10_000, summary: 'the last N (100)' }),
    },
  },
  async (context, { flags }) => {
    const { ui, client, signal } = context;
    const base = flags.all ? '/v1' : ((await context.findAppIfAny(flags))?.path ?? '/v1');
    const query = { n: flags.lines ?? 100 };
    const show = (event: EventRow): void => {
      const { dim, cyan } = ui.style;
      const what = event.app === null || base !== '/v1' ? '' : `${event.app}: `;
      ui.line(
        `${dim(event.ts)} ${cyan(event.kind)} ${what}${oneLine(event.message)}${event.actor === 'platform' ? '' : dim(` (${event.actor})`)}`,
      );
    };
    if (!flags.tail) {
      const { events } = await client.request<{ events: EventRow[] }>({
        method: 'GET',
        path: `${base}/events`,
        query,
        signal,
      });
      if (ui.json) await ui.write(events.map((event) => JSON.stringify(event) + '\n').join(''));
      else events.forEach(show);
      return 0;
    }
    try {
      for await (const { event, data } of streamEvents(client, `${base}/events/stream`, { query, signal })) {
        if (event !== 'event') continue;
        if (ui.json) await ui.write(`${data}\n`);
        else show(JSON.parse(data) as EventRow);
      }
    } catch (error) {
      // Ctrl-C is how following ends; a reader that is gone is nobody's mistake.
      if (signal.aborted && !ui.closed.aborted) return 130;
      throw error;
    }
    return 0;
  },
);
