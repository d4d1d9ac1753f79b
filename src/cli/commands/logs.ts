import type { LogGap, LogLine } from '../../shared/contracts/api.ts';
import { PaasError } from '../../shared/errors.ts';
import { streamLines } from '../client/index.ts';
import { appCommand } from '../command/define.ts';
import { flag } from '../command/flags.ts';
import { LogRenderer } from '../ui/log-lines.ts';
import { sinceOf } from '../ui/since.ts';

export default appCommand(
  {
    summary: "show an app's logs, also of instances and releases that are gone",
    streams: true,
    description:
      'What the app, its builds and the platform say. Its requests, a line each, are shown by `--source router` alone; there\n' +
      '`--process`, `--instance` and `--release` are about who answered.',
    flags: {
      tail: flag.boolean({ char: 't', summary: 'go on with new lines as they come' }),
      lines: {
        ...flag.text({ char: 'n', value: 'N|all', summary: 'the last N lines (100; with --since: all)' }),
        read: readCount,
      },
      since: flag.text({ value: '10m|TIME', summary: 'from so long ago, or from a time (ISO 8601), on' }),
      until: flag.text({ value: '5m|TIME', summary: 'up to then' }),
      process: flag.text({ value: 'TYPE', summary: 'of one process type: web' }),
      instance: flag.text({ value: 'NAME', summary: 'of one instance: web.2' }),
      release: flag.text({ value: 'vN', summary: 'of one release' }),
      source: flag.choice({ choices: ['app', 'router', 'build', 'platform'], summary: 'who wrote them' }),
      grep: flag.text({ value: 'RE', summary: 'lines that match a regular expression' }),
    },
    examples: [
      ['paas logs -t', 'follow'],
      ['paas logs --since 1h --process worker --grep "timeout|refused"', 'search'],
      ['paas logs --source build', 'what the last builds printed'],
      ['paas logs -t --source router --grep "status=5"', 'requests that fail, as they come'],
    ],
  },
  async ({ ui, client, signal, app }, { flags }) => {
    const { tail: follow, since, until, process, instance, source, grep } = flags;
    const n = flags.lines ?? (since === undefined ? 100 : 'all');
    const query = {
      process,
      instance,
      source,
      grep,
      release: releaseOf(flags.release),
      since: sinceOf('--since', since),
      until: sinceOf('--until', until),
      n: n === 'all' ? undefined : n,
    };
    if (follow && until !== undefined) throw new PaasError('usage', '--tail and --until exclude each other.');
    const renderer = new LogRenderer(ui.style);
    const onReconnect = (reason: string): void => ui.note(`-- ${reason}; connecting again, no line will be missing`);
    try {
      for await (const batch of streamLines(client, `${app.path}/logs`, { query, signal, follow, onReconnect })) {
        await ui.write(ui.json ? batch.join('\n') + '\n' : batch.map(renderLine).join(''));
      }
    } catch (error) {
      // Ctrl-C is how following ends; a reader that is gone is nobody's mistake.
      if (follow && signal.aborted && !ui.closed.aborted) return 130;
      throw error;
    }
    return 0;

    function renderLine(text: string): string {
      const entry = JSON.parse(text) as LogLine | LogGap;
      return 'gap' in entry ? renderer.gap(entry.gap) : renderer.line(entry);
    }
  },
);

function readCount(texts: readonly string[]): number | 'all' | undefined {
  const text = texts.at(-1);
  if (text === undefined || text === 'all') return text;
  if (/^\d{1,8}$/.test(text) && Number(text) > 0) return Number(text);
  throw new PaasError('usage', `\`${text}\` is neither a number of lines nor \`all\`.`);
}

function releaseOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const number = /^v?(\d{1,9})$/.exec(text)?.[1];
  if (number === undefined)
    throw new PaasError('usage', `--release: \`${text}\` is no release.`, { hint: 'Write it as in `v12`.' });
  return Number(number);
}
