/** What an app that prints a lot pays for it, and how soon its lines are seen. */
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Platform } from '../test/support/platform.ts';
import { appAnswers, copyOf } from './support/apps.ts';
import type { Bench } from './support/bench.ts';
import { withDirectory, withPlatform, withProcess } from './support/cleanup.ts';
import { memoryMb, paasScript, Running, timed } from './support/programs.ts';
import { quantile, report, say } from './support/report.ts';

const lines = 1_000_000;
const rounds = 3;
const rate = 1000;
const seconds = 20;

export const logsBenches: readonly Bench[] = [
  { name: 'logs.burst', run: burst },
  { name: 'logs.tail', run: tail },
];

interface Figures {
  writing: number[];
  floors: number[];
  lost: number[];
  agentMb: number[];
  stored: number[];
  linesPerSecond: number[];
}

async function burst(): Promise<void> {
  const figures: Figures = { writing: [], floors: [], lost: [], agentMb: [], stored: [], linesPerSecond: [] };
  await withDirectory((directory) =>
    withPlatform({}, async (paas) => {
      const cwd = copyOf('writer', paas.root);
      // A new app each time: what an earlier one printed is neither read nor removed meanwhile.
      for (let round = 0; round < rounds; round++) await oneBurst(paas, cwd, `writer${round}`, directory, figures);
    }),
  );
  const { writing, floors, lost, agentMb, linesPerSecond, stored } = figures;
  const floorWhat = 'the same into `cat > file`';
  const note = `all stored after ${stored.map((s) => s.toFixed(1)).join(', ')} s`;
  report({ name: 'logs.burst.writer', unit: 's', values: writing, floors, floorWhat, aim: { ratioMax: 6 }, note });
  report({ name: 'logs.burst.lost', unit: 'lines', values: lost, aim: { max: 0 } });
  report({ name: 'logs.burst.agent', unit: 'MB', values: agentMb, aim: { max: 120 }, note: 'most RSS of the agent' });
  report({
    name: 'logs.burst.read',
    unit: 'lines/s',
    values: linesPerSecond,
    aim: { min: 200_000 },
    note: '`paas logs -n all`',
  });
}

async function oneBurst(paas: Platform, cwd: string, app: string, directory: string, figures: Figures): Promise<void> {
  figures.floors.push(byHand(cwd, directory));
  await paas.ok(['push', app], { cwd });
  await appAnswers(paas, app, 'ok');
  const agents = paas.processes().agents.map(({ pid }) => pid);
  // 5 sets the peak of resident memory back to what it is now.
  for (const pid of agents) writeFileSync(`/proc/${pid}/clear_refs`, '5');
  const started = performance.now();
  const answer = await paas.get(app, `/burst?lines=${lines}`, { timeoutMs: 120_000 });
  if (answer.status !== 200) throw new Error(`the burst answers ${answer.status}: ${answer.text}`);
  figures.writing.push(Number(answer.text) / 1000);
  await paas.waitFor(
    'the last line',
    async () => {
      const { stdout } = await paas.ok(['logs', '-a', app, '--source', 'app', '-n', '1']);
      return stdout.includes(`burst ${String(lines - 1).padStart(7, '0')}`);
    },
    120_000,
  );
  figures.stored.push((performance.now() - started) / 1000);
  figures.agentMb.push(Math.max(...agents.map((pid) => memoryMb(pid, 'VmHWM'))));
  readAll(paas, app, join(directory, 'all'), figures);
  await paas.ok(['destroy', app, '--yes']);
}

function byHand(cwd: string, directory: string): number {
  const said = join(directory, 'took');
  timed(
    'sh',
    [
      '-c',
      '"$1" burst.js "$2" 2>"$3" | cat >"$4"',
      'sh',
      process.execPath,
      String(lines),
      said,
      join(directory, 'file'),
    ],
    { cwd },
  );
  return Number(readFileSync(said, 'utf8')) / 1000;
}

function readAll(paas: Platform, app: string, file: string, figures: Figures): void {
  for (let round = 0; round < rounds; round++) {
    const fd = openSync(file, 'w');
    const took = timed(process.execPath, [paasScript, 'logs', '-a', app, '-n', 'all'], {
      env: { PAAS_HOME: paas.home },
      stdio: ['ignore', fd, 'inherit'],
    });
    closeSync(fd);
    figures.linesPerSecond.push(lines / (took / 1000));
    const { missing, foreign } = compare(readFileSync(file, 'latin1'));
    figures.lost.push(missing);
    if (missing + foreign > 0) say(`${app}: ${missing} lines are missing, ${foreign} out of order or twice`);
  }
}

/** Whether all lines are there, each once and in order. */
function compare(text: string): { missing: number; foreign: number } {
  let next = 0;
  let foreign = 0;
  let missing = 0;
  for (const [, digits] of text.matchAll(/burst (\d{7})/g)) {
    const number = Number(digits);
    if (number < next) foreign++;
    else {
      missing += number - next;
      next = number + 1;
    }
  }
  return { missing: missing + lines - next, foreign };
}

/** From just before an app's write until the line is read from the standard output of `paas logs -t`. */
async function tail(): Promise<void> {
  await withPlatform({}, async (paas) => {
    await paas.ok(['push'], { cwd: copyOf('writer', paas.root) });
    await appAnswers(paas, 'writer', 'ok');
    const reader = new Running(process.execPath, [paasScript, 'logs', '-t', '-n', '1', '-a', 'writer'], {
      env: { PAAS_HOME: paas.home },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const delays: number[] = [];
    let begun = false;
    let rest = '';
    reader.child.stdout?.setEncoding('latin1').on('data', (text: string) => {
      const now = process.hrtime.bigint();
      begun = true;
      const whole = (rest + text).split('\n');
      rest = whole.pop() ?? '';
      for (const line of whole) {
        const at = / tick \d+ at (\d+)$/.exec(line)?.[1];
        if (at !== undefined) delays.push(Number(now - BigInt(at)) / 1e6);
      }
    });
    await withProcess(reader, async () => {
      await paas.waitFor('the reader to be there', () => begun);
      await paas.get('writer', `/tick?rate=${rate}&seconds=${seconds}`);
      await paas.waitFor('all lines', () => delays.length >= rate * seconds, (seconds + 30) * 1000);
    });
    const q = (fraction: number): string => quantile(delays, fraction).toFixed(1);
    report({
      name: 'logs.tail',
      unit: 'ms',
      values: [quantile(delays, 0.99)],
      aim: { max: 250 },
      note: `p99 of ${delays.length} lines; median ${q(0.5)}, most ${q(1)} ms`,
    });
  });
}
