/** Routers by themselves, without a platform: driven through their port as an agent drives them. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Gray, RouteTable } from '../../src/shared/contracts/routes.ts';
import type { Router, RouterConfig } from '../../src/router/port.ts';
import { proxyHeaders } from '../../src/router/nginx/passing.ts';
import { variablesText } from '../../src/router/nginx/variables.ts';
import { createRouter } from '../../src/router/registry.ts';
import { runProgram } from '../../src/agent/steps/detached.ts';
import { installation } from '../../test/support/platform/cli.ts';
import { withDirectory, withRouter } from './cleanup.ts';
import { answers } from './apps.ts';
import { freePort, Running } from './programs.ts';

export const driverNames = ['nginx', 'embedded'] as const;
export type DriverName = (typeof driverNames)[number];

const spawnDetached: RouterConfig['spawnDetached'] = (argv, { logFile, env }) => {
  const log = openSync(logFile, 'a', 0o600);
  const child = spawn(argv[0]!, argv.slice(1), { detached: true, stdio: ['ignore', log, log], env });
  closeSync(log);
  child.unref();
  return Promise.resolve(child.pid!);
};

/** A running router of a driver, with its port. It ends with the body. */
export function withDriver<T>(driver: DriverName, body: (router: Router, port: number) => Promise<T>): Promise<T> {
  return withDirectory(async (directory) => {
    const router = createRouter(driver, {
      ...{ directory: join(directory, 'router'), address: '127.0.0.1', port: 0, spawnDetached, run: runProgram },
      program: [process.execPath, join(installation, 'bin/paas-router.js')],
    });
    return withRouter(router, async () => {
      const { url } = await router.start();
      return body(router, Number(new URL(url).port));
    });
  });
}

export interface TableWish {
  /** Port of the one app that is asked, `app.bench`. */
  upstream: number;
  /** Apps in all, with a route and three instances each. */
  apps?: number;
  gray?: Gray;
}

let version = 0;

/** A table with one app that answers, and others that are only there. */
export function tableOf({ upstream, apps = 1, gray }: TableWish): RouteTable {
  const table: RouteTable = { version: ++version, http: [], tcp: [], backends: {}, stickyKey: key };
  for (let i = 0; i < apps; i++) {
    const name = i === 0 ? 'app' : `app-${i}`;
    const instances = i === 0 ? [upstream] : [20_001, 20_002, 20_003];
    table.http.push({ host: `${name}.bench`, path: '/', backend: name });
    table.backends[name] = {
      ...{ app: `default/dev/${name}`, appId: `app_${name}`, state: 'serving' },
      endpoints: instances.map((port, n) => ({
        ...{ instance: `ins_${name}_${n}`, name: `web.${n + 1}`, release: 1, address: '127.0.0.1', port },
      })),
      ...(gray && i === 0 ? { gray } : {}),
    };
  }
  return table;
}

const key = Buffer.alloc(32, 9).toString('base64url');

/** An nginx with this configuration of its `http` block; it ends with the body. */
export function withNginx<T>(http: string, workers: number, body: (nginx: Running) => Promise<T>): Promise<T> {
  return withDirectory(async (directory) => {
    const file = join(directory, 'nginx.conf');
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
    writeFileSync(
      file,
      `daemon off; worker_processes ${workers}; error_log stderr; pid ${directory}/nginx.pid; user root;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000;
  ${temporary.map((name) => `${name}_temp_path ${directory}/${name};`).join(' ')}
  ${http}
}
`,
    );
    const nginx = new Running('nginx', ['-e', 'stderr', '-p', directory, '-c', file]);
    return withGraceful(nginx, () => body(nginx));
  });
}

/** Ended with SIGTERM, so that a master takes its workers with it. */
async function withGraceful<T>(nginx: Running, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } finally {
    nginx.kill('SIGTERM');
    await nginx.exited;
  }
}

/** The fastest upstream there is. @returns its port, while the body runs */
export async function withUpstream<T>(body: (port: number) => Promise<T>): Promise<T> {
  const port = await freePort();
  return withNginx(`server { listen 127.0.0.1:${port}; location / { return 200 "ok\\n"; } }`, 1, async () => {
    await answers(port, 'localhost', 'ok');
    return body(port);
  });
}

/**
 * An nginx that knows one upstream by its configuration: what a router by nginx is compared with.
 *
 * `service` is a static configuration of the same service: the driver's own lines about what an instance is told, with
 * $request_id for the id and the trace, and a buffered access log with the same fields, one for all apps. It knows no other
 * app, counts nothing, and takes a change of its upstream by a reload. `bare` passes requests on and does nothing else.
 */
export async function withStaticNginx<T>(
  kind: 'service' | 'bare',
  upstream: number,
  workers: number,
  body: (port: number, pid: number) => Promise<T>,
): Promise<T> {
  const port = await freePort();
  const to = `upstream app { server 127.0.0.1:${upstream}; keepalive 64; keepalive_requests 1000000000; }`;
  const listen = `listen 127.0.0.1:${port}; location / { proxy_pass http://app; proxy_http_version 1.1;`;
  const run = (http: string): Promise<T> =>
    withNginx(http, workers, async (nginx) => {
      await answers(port, 'localhost', 'ok');
      return body(port, nginx.pid);
    });
  if (kind === 'bare') return run(`${to} server { ${listen} proxy_set_header Connection ""; } }`);
  return withDirectory((directory) =>
    run(`${to}
  ${variablesText([])}
  map $request_id $paas_span { "~^.{16}(.{16})" $1; }
  log_format service '${logged}';
  access_log ${directory}/access.log service buffer=256k flush=250ms;
  server {
    set $paas_upgrade $http_upgrade; set $paas_connection ""; set $paas_traceparent $http_traceparent;
    set $paas_id $request_id;
    ${listen}
      add_header X-Request-Id $paas_answered_id always;
${proxyHeaders}
    }
  }`),
  );
}

/** As src/shared/access-line.ts says, as far as nginx's own variables have it. */
const logged =
  'method=$request_method host=$host path=$uri status=$status bytes=$body_bytes_sent ms=$request_time ' +
  'first_ms=$upstream_header_time instance=web.1 release=1 client=$paas_client request_id=$paas_request_id ' +
  'trace_id=$paas_trace_id';
