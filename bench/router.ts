/** The embedded router against nginx, before the same upstream: an nginx that was pushed as an app. */
import { cpus } from 'node:os';
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import type { Platform } from '../test/support/platform.ts';
import { answers, appAnswers, copyOf, processesOfRelease } from './support/apps.ts';
import type { Bench } from './support/bench.ts';
import { withDirectory, withPlatform, withProcess } from './support/cleanup.ts';
import { hammer, type Hammered } from './support/hammer.ts';
import { cpuSeconds, freePort, isInstalled, Running, timed } from './support/programs.ts';
import { median, report, reportMissing } from './support/report.ts';

const connections = 64;
const rounds = 5;
const seconds = 5;
const aim = { ratioMin: 0.6 };

export const routerBenches: readonly Bench[] = [{ name: 'router', run: router }];

interface Proxy {
  pid: number;
  port: number;
  host: string;
  perSecond: number[];
  /** Microseconds of processor a request. */
  cpu: number[];
  /** Share of one core that it used. */
  busy: number[];
}

async function router(): Promise<void> {
  if (!isInstalled('nginx')) {
    reportMissing('router', aim, 'requests/s', 'nginx is not installed');
    return;
  }
  await withDirectory((directory) =>
    withPlatform({}, async (paas) => {
      await paas.ok(['push'], { cwd: copyOf('upstream', paas.root) });
      await appAnswers(paas, 'upstream', 'ok');
      const [instance] = await paas.ps('upstream');
      const upstream = `${instance!.address}:${instance!.port}`;
      const port = await freePort();
      const nginx = new Running('nginx', ['-e', 'stderr', '-p', directory, '-c', configure(directory, port, upstream)]);
      await withProcess(nginx, async () => {
        await answers(port, 'localhost', 'ok');
        await compare(paas, { port, pid: nginx.pid });
      });
    }),
  );
}

/** One process, no access log, connections to the upstream kept: as fast as it gets. */
function configure(directory: string, port: number, upstream: string): string {
  const file = join(directory, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  writeFileSync(
    file,
    `daemon off; master_process off; error_log stderr; pid ${directory}/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 1000000000;
  ${temporary.map((name) => `${name}_temp_path ${directory}/${name};`).join(' ')}
  upstream app { server ${upstream}; keepalive ${connections}; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}
`,
  );
  return file;
}

async function compare(paas: Platform, nginx: { port: number; pid: number }): Promise<void> {
  const measures = { perSecond: [], cpu: [], busy: [] };
  const [ours, theirs]: [Proxy, Proxy] = [
    {
      pid: paas.pid('routers'),
      port: paas.routerPort,
      host: `upstream.localhost:${paas.routerPort}`,
      ...structuredClone(measures),
    },
    { ...nginx, host: 'localhost', ...structuredClone(measures) },
  ];
  const alone = cpus().length > 1 && isInstalled('taskset');
  if (alone) {
    for (const { pid } of [ours, theirs]) keepOn(0, pid);
    for (const pid of processesOfRelease('upstream', 1)) keepOn(1, pid);
  }
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    for (const proxy of [theirs, ours]) await measure(proxy, round > 0, alone);
  }
  const note =
    `${hammer.name}; ${alone ? 'the proxy has a core of its own' : 'all programs share the cores'}; ` +
    `of a core: nginx ${percent(theirs.busy)}, router ${percent(ours.busy)}` +
    (median(theirs.busy) < 0.9 ? '; nginx was not at its limit, so router.cpu says more' : '');
  report({
    name: 'router.requests',
    unit: 'requests/s',
    values: ours.perSecond,
    floors: theirs.perSecond,
    floorWhat: 'nginx, one worker',
    aim,
    note,
  });
  report({
    name: 'router.cpu',
    unit: 'us/request',
    values: ours.cpu,
    floors: theirs.cpu,
    floorWhat: 'nginx, one worker',
    aim: { ratioMax: 2 },
    note: 'processor time of the proxy, whatever the generator takes',
  });
}

function keepOn(core: number, pid: number): void {
  timed('taskset', ['-a', '-p', '-c', String(core), String(pid)]);
}

async function measure(proxy: Proxy, counts: boolean, alone: boolean): Promise<void> {
  const before = cpuSeconds(proxy.pid);
  const { port, host } = proxy;
  const result: Hammered = await hammer.run({ port, host, connections, seconds, core: alone ? 1 : null });
  const used = cpuSeconds(proxy.pid) - before;
  if (result.failed > 0) throw new Error(`${result.failed} of ${result.requests} requests fail at ${host}`);
  if (!counts) return;
  proxy.perSecond.push(result.requests / result.seconds);
  proxy.cpu.push((used * 1e6) / result.requests);
  proxy.busy.push(used / result.seconds);
}

const percent = (shares: readonly number[]): string => `${(median(shares) * 100).toFixed(0)} %`;
