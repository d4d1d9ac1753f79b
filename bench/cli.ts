/** How long a command takes that does next to nothing. */
import { withPlatform } from './support/cleanup.ts';
import type { Bench } from './support/bench.ts';
import { paasScript, timed } from './support/programs.ts';
import { report } from './support/report.ts';

const rounds = 41;

export const cliBenches: readonly Bench[] = [{ name: 'cli', run: start }];

async function start(): Promise<void> {
  await withPlatform({}, async (paas) => {
    await paas.ok(['push'], { cwd: paas.source('probe') });
    const env = { PAAS_HOME: paas.home };
    const commands = {
      floor: ['-e', '0'],
      version: [paasScript, '--version'],
      apps: [paasScript, 'apps', '--json'],
    };
    const times = { floor: [] as number[], version: [] as number[], apps: [] as number[] };
    // In turns, so that whatever else the machine does meets all alike; the first round warms up.
    for (let round = 0; round <= rounds; round++) {
      for (const name of ['floor', 'version', 'apps'] as const) {
        const took = timed(process.execPath, commands[name], { env });
        if (round > 0) times[name].push(took);
      }
    }
    const floor = { unit: 'ms', floors: times.floor, floorWhat: 'node -e 0' };
    report({ name: 'cli.version', values: times.version, ...floor, aim: { ratioMax: 2 } });
    report({ name: 'cli.apps', values: times.apps, ...floor, aim: { ratioMax: 4 } });
  });
}
