/** What the routers cost by themselves: with many routes, with gray rules, in latency, and for a change of the table. */
import { availableParallelism } from 'node:os';
import type { Router } from '../src/router/port.ts';
import { answers } from './support/apps.ts';
import type { Bench } from './support/bench.ts';
import { hammer, type Hammered } from './support/hammer.ts';
import { isInstalled } from './support/programs.ts';
import { median, quantile, report, reportMissing } from './support/report.ts';
import { driverNames, tableOf, withDriver, withStaticNginx, withUpstream, type DriverName } from './support/routers.ts';

const connections = 64;
const rounds = 5;
const latencyRounds = 9;
const seconds = 4;
const manyApps = 10_000;
const changes = 200;
const host = 'app.bench';
/** nginx with `worker_processes auto`. */
const workers = availableParallelism();

export const routersBenches: readonly Bench[] = [
  { name: 'routers.nginx', run: () => needingNginx('routers.nginx', nginxItself) },
  ...driverNames.flatMap((driver): Bench[] => [
    { name: `routers.latency.${driver}`, run: () => needingNginx(`routers.latency.${driver}`, () => latency(driver)) },
    { name: `routers.change.${driver}`, run: () => needingNginx(`routers.change.${driver}`, () => change(driver)) },
  ]),
];

async function needingNginx(name: string, run: () => Promise<void>): Promise<void> {
  if (isInstalled('nginx')) await run();
  else reportMissing(name, { max: 0 }, '', 'nginx is not installed');
}

const fiveRules = {
  releases: [2],
  rules: [
    { release: 2, all: [{ kind: 'cookie', name: 'beta', op: 'is', text: '1' }] },
    { release: 2, all: [{ kind: 'header', name: 'x-team', op: 'is', text: 'qa' }] },
    { release: 2, all: [{ kind: 'ip', cidr: '10.2.0.0/16' }] },
    { release: 2, all: [{ kind: 'device', op: 'matches', text: 'Mi ?Note' }] },
    { release: 2, all: [{ kind: 'header', name: 'x-build', op: 'matches', text: '^nightly' }] },
  ],
} satisfies NonNullable<Parameters<typeof tableOf>[0]['gray']>;

async function load(port: number, many: number): Promise<Hammered> {
  const done = await hammer.run({ port, host, connections: many, seconds, core: null });
  if (done.failed > 0) throw new Error(`${done.failed} of ${done.requests} requests fail`);
  return done;
}
const rate = ({ requests, seconds: took }: Hammered): number => requests / took;
const perSecond = async (port: number): Promise<number> => rate(await load(port, connections));

/** The nginx driver against the same nginx that knows its one upstream by its configuration. */
async function nginxItself(): Promise<void> {
  await withUpstream((upstream) =>
    withStaticNginx('service', upstream, workers, (service) =>
      withStaticNginx('bare', upstream, workers, (bare) =>
        withDriver('nginx', (router, port) => besideStatic(router, { upstream, service, bare, port })),
      ),
    ),
  );
}

type Ports = Record<'upstream' | 'service' | 'bare' | 'port', number>;

async function besideStatic(router: Router, { upstream, service, bare, port }: Ports): Promise<void> {
  const tables = {
    plain: tableOf({ upstream }),
    many: tableOf({ upstream, apps: manyApps }),
    gray: tableOf({ upstream, gray: fiveRules }),
  };
  const measured: Record<'service' | 'bare' | keyof typeof tables, number[]> = {
    ...{ service: [], bare: [], plain: [], many: [], gray: [] },
  };
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    const note = async (kind: keyof typeof measured, at: number): Promise<void> => {
      const found = await perSecond(at);
      if (round > 0) measured[kind].push(found);
    };
    await note('bare', bare);
    await note('service', service);
    for (const kind of ['plain', 'many', 'gray'] as const) {
      await router.apply(tables[kind]);
      await answers(port, host, 'ok');
      await note(kind, port);
    }
  }
  const unit = 'requests/s';
  const row = { unit, note: `${hammer.name}; ${workers} workers each, on the same cores` };
  const plain = { floors: measured.plain, floorWhat: 'one app, no rules' };
  report({
    ...{ ...row, name: 'routers.nginx.requests', values: measured.plain, floors: measured.service },
    ...{ floorWhat: 'nginx, static upstream, same service', aim: { ratioMin: 0.92 } },
  });
  report({
    ...{ ...row, name: 'routers.nginx.bare', values: measured.plain, floors: measured.bare },
    ...{ floorWhat: 'nginx, static upstream, nothing else', aim: { ratioMin: 0.6 } },
  });
  report({
    ...{ ...row, ...plain, name: 'routers.nginx.routes', values: measured.many, aim: { ratioMin: 0.95 } },
    note: `${manyApps} routes to ${manyApps * 3 - 2} instances`,
  });
  report({ ...row, ...plain, name: 'routers.nginx.gray', values: measured.gray, aim: { ratioMin: 0.9 } });
}

/** Beyond what the upstream takes by itself, with so few connections that the router makes about half of what it can. */
async function latency(driver: DriverName): Promise<void> {
  await withUpstream((upstream) =>
    withStaticNginx('service', upstream, workers, (service) =>
      withDriver(driver, async (router, port) => {
        await router.apply(tableOf({ upstream }));
        await answers(port, host, 'ok');
        const few = await halfLoad(port);
        const found: Record<'direct' | 'service' | 'through', number[]> = { direct: [], service: [], through: [] };
        for (let round = 0; round < latencyRounds; round++) {
          found.direct.push((await load(upstream, few)).p99);
          found.service.push((await load(service, few)).p99);
          found.through.push((await load(port, few)).p99);
        }
        report({
          ...{ name: `routers.latency.${driver}`, unit: 'ms', values: found.through },
          ...{ floors: found.direct, floorWhat: 'p99, direct', aim: { more: driver === 'nginx' ? 1 : 3 } },
          note: `p99 with ${few} connections; nginx, static upstream, same service: ${median(found.service).toFixed(2)}`,
        });
      }),
    ),
  );
}

/** The fewest connections with which a router makes half of its most requests, one at a time on each. */
async function halfLoad(port: number): Promise<number> {
  await perSecond(port);
  const most = await perSecond(port);
  for (let few = 1; few < connections; few++) if (rate(await load(port, few)) >= most / 2) return few;
  return connections;
}

/** From giving a router a table to its word that it is in force and on disk, while it serves. */
async function change(driver: DriverName): Promise<void> {
  await withUpstream((upstream) =>
    withDriver(driver, async (router, port) => {
      const meanwhile = hammer.run({ port, host, connections: 4, seconds: 10, core: null });
      const few: number[] = [];
      for (let i = 0; i < changes; i++) few.push(await applied(router, 1 + (i % 2), upstream));
      const many: number[] = [];
      for (let i = 0; i < 5; i++) many.push(await applied(router, manyApps - i, upstream));
      await meanwhile;
      const name = `routers.change.${driver}`;
      report({ name, unit: 'ms', values: [quantile(few, 0.99)], aim: { max: 100 }, note: `p99 of ${changes} changes` });
      report({
        ...{ name: `${name}.routes`, unit: 'ms', values: [median(many)], aim: { max: 1000 } },
        note: `${manyApps} routes to ${manyApps * 3 - 2} instances`,
      });
    }),
  );
}

async function applied(router: Router, apps: number, upstream: number): Promise<number> {
  const table = tableOf({ upstream, apps });
  const started = performance.now();
  const { version } = await router.apply(table);
  if (version !== table.version) throw new Error(`version ${version} is in force, not ${table.version}`);
  return performance.now() - started;
}
