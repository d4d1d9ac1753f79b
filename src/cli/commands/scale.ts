import type { Deployment, Formation, GrayView, ScaleRequest } from '../../shared/contracts/api.ts';
import { PaasError } from '../../shared/errors.ts';
import { formatFormation, formatSize, parseFormation, parseSize } from '../../shared/units.ts';
import type { AppScope, Context } from '../command/context.ts';
import { appCommand } from '../command/define.ts';
import { flag, parseCpu, waitFlags } from '../command/flags.ts';
import { change, finish } from '../deploy/done.ts';
import { readRelease } from '../deploy/gray.ts';
import type { Ui } from '../ui/ui.ts';

export default appCommand(
  {
    summary: 'set how many instances of each process run, and their size',
    description: 'Without arguments it prints the present formation, in a form that it accepts back.',
    rest: { name: 'web=3 worker+1 …', summary: 'a number, or a change of it' },
    flags: {
      memory: flag.list({ value: 'web=512M', summary: 'memory of an instance; may be repeated' }),
      cpu: flag.list({ value: 'web=0.5', summary: 'cores of an instance, `none` for no limit; may be repeated' }),
      release: flag.text({ value: 'vN', summary: 'of a release that runs beside the stable one (see `paas gray`)' }),
      ...waitFlags,
    },
    examples: [
      ['paas scale web=3 worker+1', 'three of web, one more of worker'],
      ['paas scale --release v13 web=2', 'of a release that runs for gray rules'],
      ['paas scale --memory web=512M', 'another size, rolled out without interruption'],
    ],
  },
  async (context, { flags, rest }) => {
    const { ui, client, signal, app } = context;
    const processes = changes(rest, flags.memory, flags.cpu);
    const release = flags.release === undefined ? undefined : readRelease(flags.release, '--release');
    if (Object.keys(processes).length === 0 && release !== undefined) return showBeside(context, release);
    if (Object.keys(processes).length === 0) {
      const formation = await client.request<Formation>({ method: 'GET', path: `${app.path}/formation`, signal });
      ui.show(formation, () => showFormation(ui, formation));
      return 0;
    }
    const body: ScaleRequest = { processes, ...(release === undefined ? {} : { release }) };
    const { formation, deployment } = await change<Scaled>(context, 'PATCH', '/formation', body);
    const counts = formatFormation(kept(formation));
    return finish(context, deployment, flags, {
      done: `${app.name}${release === undefined ? '' : ` v${release}`}: ${counts}`,
      nothing: `Nothing changed: ${counts}`,
      more: { formation },
    });
  },
);

interface Scaled {
  formation: Formation;
  deployment: Deployment | null;
}

type Change = ScaleRequest['processes'][string];

function changes(words: readonly string[], memory: readonly string[], cpu: readonly string[]): Record<string, Change> {
  const result: Record<string, Change> = {};
  const add = (type: string, change: Change): void => {
    result[type] = { ...result[type], ...change };
  };
  for (const word of words) {
    const { type, op, count } = parseFormation(word);
    if (result[type]) throw new PaasError('usage', `${type} is given twice.`, { hint: 'Give each process once.' });
    add(type, op === '=' ? { instances: count } : { delta: op === '+' ? count : -count });
  }
  for (const word of memory) {
    const [type, value] = pair('--memory', word);
    add(type, { memoryMb: parseSize(value) });
  }
  for (const word of cpu) {
    const [type, value] = pair('--cpu', word);
    add(type, { cpu: value === 'none' ? null : parseCpu(value) });
  }
  return result;
}

function pair(name: string, word: string): [string, string] {
  const at = word.indexOf('=');
  if (at > 0) return [word.slice(0, at), word.slice(at + 1)];
  throw new PaasError('usage', `${name}: \`${word}\` does not name a process.`, { hint: `Write ${name} web=….` });
}

/** What has a number; cron and task run when their time comes. */
function kept(formation: Formation): [string, number][] {
  return Object.entries(formation).flatMap(([type, { kind, instances }]) =>
    kind === 'cron' || kind === 'task' ? [] : [[type, instances]],
  );
}

/** The instances of a release that runs for gray rules. */
async function showBeside({ ui, client, signal, app }: Context & { app: AppScope }, release: number): Promise<number> {
  const { releases } = await client.request<GrayView>({ method: 'GET', path: `${app.path}/gray`, signal });
  const counts = releases[release];
  if (!counts)
    throw new PaasError('conflict', `v${release} does not run beside the stable release.`, {
      hint: `See \`paas gray ${app.name}\`.`,
    });
  ui.show(counts, () => ui.line(`--release v${release} ${formatFormation(Object.entries(counts))}`));
  return 0;
}

/** One line of words and flags that `paas scale` takes. */
function showFormation(ui: Ui, formation: Formation): void {
  const sizes = Object.entries(formation).flatMap(([type, { memoryMb, cpu }]) => [
    `--memory ${type}=${formatSize(memoryMb)}`,
    ...(cpu === null ? [] : [`--cpu ${type}=${cpu}`]),
  ]);
  ui.line([formatFormation(kept(formation)), ...sizes].filter((word) => word !== '').join(' '));
}
