/** How long a change takes to reach those who use the app. */
import { existsSync } from 'node:fs';
import type { Platform } from '../test/support/platform.ts';
import { appAnswers, copyOf, processesOfRelease, setVersion, startByHand } from './support/apps.ts';
import type { Bench } from './support/bench.ts';
import { withPlatform } from './support/cleanup.ts';
import { report } from './support/report.ts';

const firstRounds = 5;
const rounds = 10;

export const deployBenches: readonly Bench[] = [
  { name: 'deploy.first', run: first },
  { name: 'deploy.repush', run: repush },
  { name: 'deploy.rollback', run: rollback },
  { name: 'deploy.scale', run: scale },
];

const floorWhat = 'starting the app by hand';
const seconds = (ms: number): number => ms / 1000;

/** Seconds from the start of a command until the app answers so. Waits for the command too, which must succeed. */
async function untilAnswer(paas: Platform, args: string[], cwd: string, text: string): Promise<number> {
  const started = performance.now();
  const command = paas.ok(args, { cwd });
  const [answered] = await Promise.all([appAnswers(paas, 'hello', text), command]);
  return seconds(answered - started);
}

/** On a fresh platform each time: its first compute host is made by this push. */
async function first(): Promise<void> {
  const values: number[] = [];
  const floors: number[] = [];
  for (let round = 0; round < firstRounds; round++) {
    await withPlatform({}, async (paas) => {
      const cwd = copyOf('hello', paas.root);
      floors.push(seconds(await startByHand(cwd)));
      values.push(await untilAnswer(paas, ['push'], cwd, 'version 0'));
    });
  }
  report({ name: 'deploy.first', unit: 's', values, floors, floorWhat, aim: { more: 2.5 } });
}

async function withHello(body: (paas: Platform, cwd: string) => Promise<void>): Promise<void> {
  await withPlatform({}, async (paas) => {
    const cwd = copyOf('hello', paas.root);
    await paas.ok(['push'], { cwd });
    await body(paas, cwd);
  });
}

/** Until none of these is there any more. */
async function allGone(pids: readonly number[]): Promise<number> {
  if (pids.length === 0) throw new Error('the old release has no processes');
  while (pids.some((pid) => existsSync(`/proc/${pid}`))) await new Promise((resolve) => setTimeout(resolve, 4));
  return performance.now();
}

async function repush(): Promise<void> {
  const answered: number[] = [];
  const gone: number[] = [];
  const floors: number[] = [];
  await withHello(async (paas, cwd) => {
    for (let round = 0; round <= rounds; round++) {
      floors.push(seconds(await startByHand(cwd)));
      setVersion(cwd, String(round + 1));
      const old = processesOfRelease('hello', round + 1);
      const started = performance.now();
      const [answer, end] = await Promise.all([
        untilAnswer(paas, ['push'], cwd, `version ${round + 1}\n`),
        allGone(old),
      ]);
      // The first one warms up.
      if (round === 0) continue;
      answered.push(answer);
      gone.push(seconds(end - started));
    }
  });
  const common = { unit: 's', floors, floorWhat };
  report({ name: 'deploy.repush.answers', values: answered, ...common, aim: { more: 1 } });
  report({ name: 'deploy.repush.old-gone', values: gone, ...common, aim: { more: 2.5 } });
}

async function rollback(): Promise<void> {
  const values: number[] = [];
  const floors: number[] = [];
  await withHello(async (paas, cwd) => {
    setVersion(cwd, '1');
    await paas.ok(['push'], { cwd });
    for (let round = 0; round <= rounds; round++) {
      floors.push(seconds(await startByHand(cwd)));
      const took = await untilAnswer(paas, ['rollback'], cwd, `version ${round % 2}\n`);
      if (round > 0) values.push(took);
    }
  });
  report({ name: 'deploy.rollback', unit: 's', values, floors, floorWhat, aim: { more: 0.7 } });
}

/** The command ends when all are healthy; that they are is asked afterwards. */
async function scale(): Promise<void> {
  const values: number[] = [];
  const floors: number[] = [];
  await withHello(async (paas, cwd) => {
    for (let round = 0; round < rounds / 2; round++) {
      floors.push(seconds(await startByHand(cwd)));
      const started = performance.now();
      await paas.ok(['scale', 'web=10', '-a', 'hello']);
      values.push(seconds(performance.now() - started));
      const healthy = (await paas.ps('hello')).filter(({ state }) => state === 'healthy').length;
      if (healthy !== 10) throw new Error(`scale has ended with ${healthy} of 10 healthy`);
      await paas.ok(['scale', 'web=1', '-a', 'hello']);
      await paas.settled('hello', { web: 1 });
    }
  });
  report({ name: 'deploy.scale', unit: 's', values, floors, floorWhat, aim: { more: 3 } });
}
