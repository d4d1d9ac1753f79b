/** Requests at a steady rate while everything is done to the app and the platform that may be done to them. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { killNow, type Platform } from '../test/support/platform.ts';
import { userEnvironment } from '../test/support/platform/cli.ts';
import { appAnswers, copyOf, setVersion } from './support/apps.ts';
import type { Bench } from './support/bench.ts';
import { withPlatform, withProcess } from './support/cleanup.ts';
import type { LoadResult } from './support/steady-load.ts';
import { report, say } from './support/report.ts';

const requests = 50_000;
const perSecond = 500;

export const loadBenches: readonly Bench[] = [{ name: 'load', run: load }];

async function load(): Promise<void> {
  await withPlatform({}, async (paas) => {
    const cwd = copyOf('hello', paas.root);
    await paas.ok(['push', '-i', '2'], { cwd });
    await appAnswers(paas, 'hello', 'version');
    const child = fork(fileURLToPath(new URL('support/steady-load.ts', import.meta.url)), {
      env: userEnvironment(),
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const exited = once(child, 'exit');
    await withProcess({ kill: (signal) => child.kill(signal), exited }, () => underLoad(paas, cwd, child));
  });
}

async function underLoad(paas: Platform, cwd: string, child: ChildProcess): Promise<void> {
  const ended: { result?: LoadResult } = {};
  const received = once(child, 'message').then(([message]) => (ended.result = message as LoadResult));
  child.send({ port: paas.routerPort, host: `hello.localhost:${paas.routerPort}`, requests, perSecond });
  const operations = operationsOn(paas, cwd);
  const done: string[] = [];
  // All of them, and again from the first on until the requests are over.
  for (let i = 0; i < operations.length || !ended.result; i++) {
    const { what, act } = operations[i % operations.length]!;
    child.send({ phase: what });
    const started = performance.now();
    await act();
    done.push(what);
    say(`  ${what}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
    child.send({ phase: `after ${what}` });
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  const { count, failures, latency } = await received;
  for (const [kind, number] of Object.entries(failures)) say(`  ${number} failed: ${kind}`);
  report({
    name: 'load',
    unit: 'failed',
    values: [Object.values(failures).reduce((sum, number) => sum + number, 0)],
    aim: { max: 0 },
    note:
      `of ${count}; median ${latency.median} ms, p99 ${latency.p99} ms, most ${latency.most} ms; ` +
      `${done.length} operations` +
      Object.entries(failures)
        .map(([kind, number]) => `; ${number}: ${kind}`)
        .join(''),
  });
}

function operationsOn(paas: Platform, cwd: string): { what: string; act: () => Promise<unknown> }[] {
  let version = 0;
  const app = ['-a', 'hello'];
  const push = (): Promise<unknown> => {
    setVersion(cwd, String(++version));
    return paas.ok(['push'], { cwd });
  };
  const healthy = (): Promise<unknown> =>
    paas.waitFor('the platform to be whole', async () => {
      const hosts = await paas.json<{ state: string }[]>(['hosts']);
      return hosts.every(({ state }) => state === 'ready') && paas.processes().agents.length === hosts.length;
    });
  return [
    { what: 'push', act: push },
    { what: 'scale up', act: () => paas.ok(['scale', 'web=5', ...app]) },
    { what: 'scale down', act: () => paas.ok(['scale', 'web=2', ...app]) },
    { what: 'config set', act: () => paas.ok(['config', 'set', `ROUND=${++version}`, ...app]) },
    { what: 'rollback', act: () => paas.ok(['rollback', ...app]) },
    { what: 'restart', act: () => paas.ok(['restart', ...app]) },
    { what: 'kill -9 of the agents', act: () => killNow(paas.processes().agents.map(({ pid }) => pid)).then(healthy) },
    {
      what: 'kill -9 of the control plane',
      act: async () => {
        await killNow([paas.pid('servers')]);
        await paas.up();
        await healthy();
      },
    },
  ];
}
