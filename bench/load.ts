/** Requests at a steady rate while everything is done to the app and the platform that may be done to them. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { killNow, type CliResult, type Platform } from '../test/support/platform.ts';
import { userEnvironment } from '../test/support/platform/cli.ts';
import { appAnswers, copyOf, setVersion } from './support/apps.ts';
import type { Bench } from './support/bench.ts';
import { withPlatform, withProcess } from './support/cleanup.ts';
import type { LoadResult } from './support/steady-load.ts';
import { report, say } from './support/report.ts';
import { driverNames, type DriverName } from './support/routers.ts';

export const loadBenches: readonly Bench[] = [
  { name: 'load', run: () => load({ name: 'load', requests: 50_000, flags: [], operations: incidents }) },
  ...driverNames.map((driver): Bench => {
    const name = `rollouts.${driver}`;
    const flags = ['--router', driver];
    return {
      name,
      run: () =>
        load({
          name,
          requests: 200_000,
          flags,
          operations: (paas, cwd) => releases(paas, cwd, driver),
          webSockets: true,
        }),
    };
  }),
];

const perSecond = 500;

interface LoadWish {
  name: string;
  requests: number;
  /** For `paas up`. */
  flags: string[];
  operations: (paas: Platform, cwd: string) => Operation[];
  webSockets?: boolean;
}

interface Operation {
  what: string;
  act: () => Promise<unknown>;
}

async function load(wish: LoadWish): Promise<void> {
  await withPlatform({ flags: wish.flags }, async (paas) => {
    const cwd = copyOf('hello', paas.root);
    await paas.ok(['push', '-i', '2'], { cwd });
    await appAnswers(paas, 'hello', 'version');
    const child = fork(fileURLToPath(new URL('support/steady-load.ts', import.meta.url)), {
      env: userEnvironment(),
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const exited = once(child, 'exit');
    await withProcess({ kill: (signal) => child.kill(signal), exited }, () => underLoad(paas, cwd, child, wish));
  });
}

async function underLoad(paas: Platform, cwd: string, child: ChildProcess, wish: LoadWish): Promise<void> {
  const ended: { result?: LoadResult } = {};
  const received = once(child, 'message').then(([message]) => (ended.result = message as LoadResult));
  const { requests, webSockets = false } = wish;
  const host = `hello.localhost:${paas.routerPort}`;
  child.send({ port: paas.routerPort, host, requests, perSecond, webSockets });
  const operations = wish.operations(paas, cwd);
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
    name: wish.name,
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

const app = ['-a', 'hello'];

/** Pushes a new version each time. */
function pusher(paas: Platform, cwd: string): (...flags: string[]) => Promise<CliResult> {
  let version = 0;
  return (...flags) => {
    setVersion(cwd, String(++version));
    return paas.cli(['push', ...flags], { cwd });
  };
}

async function mustBe(code: number, result: Promise<CliResult>): Promise<void> {
  const ended = await result;
  if (ended.code !== code) throw new Error(`not exit ${code}: ${ended.toString()}`);
}

async function whole(paas: Platform): Promise<void> {
  await paas.waitFor('the platform to be whole', async () => {
    const hosts = await paas.json<{ state: string }[]>(['hosts']);
    return hosts.every(({ state }) => state === 'ready') && paas.processes().agents.length === hosts.length;
  });
}

function incidents(paas: Platform, cwd: string): Operation[] {
  const push = pusher(paas, cwd);
  let round = 0;
  const kill = (pids: readonly number[]): Promise<void> => killNow(pids);
  return [
    { what: 'push', act: () => mustBe(0, push()) },
    { what: 'scale up', act: () => paas.ok(['scale', 'web=5', ...app]) },
    { what: 'scale down', act: () => paas.ok(['scale', 'web=2', ...app]) },
    { what: 'config set', act: () => paas.ok(['config', 'set', `ROUND=${++round}`, ...app]) },
    { what: 'rollback', act: () => paas.ok(['rollback', ...app]) },
    { what: 'restart', act: () => paas.ok(['restart', ...app]) },
    {
      what: 'kill -9 of the agents',
      act: () => kill(paas.processes().agents.map(({ pid }) => pid)).then(() => whole(paas)),
    },
    {
      what: 'kill -9 of the control plane',
      act: async () => {
        await kill([paas.pid('servers')]);
        await paas.up();
        await whole(paas);
      },
    },
  ];
}

/** A day of releases: each round has 5 pushes, 3 rollbacks, 2 cancelled pushes, a scale up and down and 20 config sets. */
function releases(paas: Platform, cwd: string, driver: DriverName): Operation[] {
  const push = pusher(paas, cwd);
  const other = copyOf('hello', paas.root);
  const manifest = join(other, 'paas.yml');
  writeFileSync(manifest, readFileSync(manifest, 'utf8').replace('name: hello', 'name: other'));
  let round = 0;
  const cancelled = async (): Promise<void> => {
    const pushing = push('--strategy', 'canary', '--steps', '50', '--manual');
    await paas.waitFor('the canary to wait', async () => {
      const { rollout } = await paas.json<{ rollout: { waitsFor: string } | null }>(['rollout', 'status', ...app]);
      return rollout?.waitsFor.includes('rollout continue') === true;
    });
    await paas.ok(['rollout', 'cancel', ...app]);
    await pushing;
  };
  const of = (what: string, count: number, act: () => Promise<unknown>): Operation[] =>
    Array.from({ length: count }, () => ({ what, act }));
  return [
    { what: 'push of another app', act: () => paas.ok(['push'], { cwd: other }) },
    ...of('push', 3, () => mustBe(0, push())),
    ...of('rollback', 2, () => paas.ok(['rollback', ...app])),
    ...of('cancelled push', 2, cancelled),
    { what: 'scale up', act: () => paas.ok(['scale', 'web=8', ...app]) },
    ...of('config set', 20, () => paas.ok(['config', 'set', `ROUND=${++round}`, ...app])),
    { what: 'scale down', act: () => paas.ok(['scale', 'web=2', ...app]) },
    ...of('push', 2, () => mustBe(0, push())),
    ...of('rollback', 1, () => paas.ok(['rollback', ...app])),
    { what: 'maintenance of another app', act: () => paas.ok(['maintenance', 'on', '-a', 'other']) },
    {
      what: 'restart of the agents',
      act: () => killNow(paas.processes().agents.map(({ pid }) => pid)).then(() => whole(paas)),
    },
    { what: 'restart of the router', act: () => restartRouter(paas, driver) },
    { what: 'maintenance ends', act: () => paas.ok(['maintenance', 'off', '-a', 'other']) },
  ];
}

/**
 * New processes take the places of those that serve, which end with their last request: by SIGHUP for the embedded router,
 * and for nginx by a change of where it listens, for which the agent reloads it.
 */
async function restartRouter(paas: Platform, driver: DriverName): Promise<void> {
  if (driver === 'embedded') process.kill(paas.pid('routers'), 'SIGHUP');
  else {
    await paas.ok(['certs', 'add', 'other.localhost', '--self-signed']);
    await paas.ok(['certs', 'remove', 'other.localhost', '--yes']);
  }
  await new Promise((resolve) => setTimeout(resolve, 2000));
}
