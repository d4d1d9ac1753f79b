/** What a host pays for its agent. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { installation } from '../test/support/platform.ts';
import { copyOf } from './support/apps.ts';
import type { Bench } from './support/bench.ts';
import { withPlatform, withProcess } from './support/cleanup.ts';
import { memoryMb, Running } from './support/programs.ts';
import { report } from './support/report.ts';

const idleMs = 30_000;

export const agentBenches: readonly Bench[] = [
  { name: 'agent.bundle', run: bundle },
  { name: 'agent.memory', run: memory },
];

function bundle(): Promise<void> {
  const size = statSync(join(installation, 'dist/agent.js')).size / 1e6;
  report({ name: 'agent.bundle', unit: 'MB', values: [size], aim: { max: 1.5 } });
  return Promise.resolve();
}

/** Resident memory of the agents of a router host and of a host with one app, and of a node that does nothing. */
async function memory(): Promise<void> {
  const bare = new Running(process.execPath, ['-e', 'setInterval(() => {}, 1e6)']);
  await withProcess(bare, () =>
    withPlatform({}, async (paas) => {
      await paas.ok(['push'], { cwd: copyOf('hello', paas.root) });
      await new Promise((resolve) => setTimeout(resolve, idleMs));
      const agents = paas.processes().agents.map(({ pid }) => memoryMb(pid, 'VmRSS'));
      report({
        name: 'agent.memory',
        unit: 'MB',
        values: [Math.max(...agents)],
        floors: [memoryMb(bare.pid, 'VmRSS')],
        floorWhat: 'RSS of node that does nothing',
        aim: { more: 25 },
        note: `after ${idleMs / 1000} s; agents: ${agents.map((mb) => mb.toFixed(1)).join(', ')} MB`,
      });
    }),
  );
}
