/**
 * `npm run bench [-- NAME…]`: measures the platform's programs, each number beside a floor that is measured in the same
 * run. A JSON line a number on standard output; what is going on, and a table at the end, on standard error. NAME is the
 * beginning of a benchmark's name: `deploy`, `logs.burst`. An aim that is missed is no failure of the run.
 */
import { cpus, loadavg, release, type } from 'node:os';
import { agentBenches } from './agent.ts';
import { cliBenches } from './cli.ts';
import { deployBenches } from './deploy.ts';
import { loadBenches } from './load.ts';
import { logsBenches } from './logs.ts';
import { routerBenches } from './router.ts';
import { routersBenches } from './routers.ts';
import type { Bench } from './support/bench.ts';
import { undoAll } from './support/cleanup.ts';
import { say, summary } from './support/report.ts';
import { uploadBenches } from './upload.ts';

const benches: readonly Bench[] = [
  ...cliBenches,
  ...agentBenches,
  ...deployBenches,
  ...logsBenches,
  ...routerBenches,
  ...routersBenches,
  ...uploadBenches,
  ...loadBenches,
];

async function main(names: readonly string[]): Promise<number> {
  const chosen = benches.filter(({ name }) => names.length === 0 || names.some((start) => name.startsWith(start)));
  if (chosen.length === 0) {
    say(`There is no such benchmark. There are: ${benches.map(({ name }) => name).join(' ')}`);
    return 2;
  }
  let failed = 0;
  say(machine());
  for (const { name, run } of chosen) {
    say(`${name} …`);
    try {
      await run();
    } catch (error) {
      failed++;
      process.stdout.write(`${JSON.stringify({ name, error: String(error) })}\n`);
    }
  }
  say(`\n${summary()}\n\n${machine()}`);
  return failed === 0 ? 0 : 1;
}

/** Numbers of a busy machine say little: the load stands beside them. */
function machine(): string {
  const [cpu] = cpus();
  const load = loadavg().map((value) => value.toFixed(1));
  return `${cpus().length} x ${cpu?.model ?? 'cpu'}, ${type()} ${release()}, Node ${process.versions.node}; load average ${load.join(' ')}`;
}

/** Takes away what was started, then ends. Programs that are being run end with Ctrl-C themselves: it is for the whole group. */
function stop(why: string, code: number): void {
  say(`\n${why}: taking away what was started …`);
  undoAll()
    .catch((error: unknown) => say(String(error)))
    .finally(() => process.exit(code));
}

process.once('SIGINT', () => stop('SIGINT', 130));
process.once('SIGTERM', () => stop('SIGTERM', 143));
process.once('uncaughtException', (error) => stop(error.stack ?? String(error), 1));
// This has nothing of the platform's own variables set, and neither has what it starts.
delete process.env['NODE_EXTRA_CA_CERTS'];
process.exitCode = await main(process.argv.slice(2));
