/** What the parts of the router suite share: the driver under test, tables, and clean-up. */
import type { Backend, Endpoint, Gray, RouteTable } from '../../../src/shared/contracts/routes.ts';
import type { Router } from '../../../src/router/port.ts';
import type { TestServer } from '../../support/wire.ts';

export interface RouterUnderTest {
  router: Router;
  /** Processes of the router, also of one that is about to end. */
  processes(): number[];
  /** Has it exchange its processes (SIGHUP); resolves when that is done. */
  restart(): Promise<void>;
  /** Kills the router as `kill -9` does. */
  kill(): Promise<void>;
  /** Lines of one of its access logs so far (`app_a.log`, `-.log`), by field. */
  accessLog(file: string): Promise<Record<string, string>[]>;
  /** Stops it and removes its directory. */
  dispose(): Promise<void>;
}

export interface MakeOptions {
  port?: number;
  responseTimeoutMs?: number;
  tlsPort?: number;
}

export type MakeRouter = (options?: MakeOptions) => Promise<RouterUnderTest>;

/** An app as a table names it. */
export interface TestApp {
  app?: string;
  state?: 'serving' | 'starting' | 'stopped';
  servers: (TestServer | { port: number })[];
  routes?: string[];
  tcp?: number[];
  /** Releases of the servers; default: 1 for all. */
  releases?: number[];
  gray?: Gray;
  protocol?: 'http' | 'h2c';
  settings?: Pick<Backend, 'limits' | 'outlier' | 'maintenance'>;
}

let tableVersion = 0;
/** Signs the cookies of gray releases. */
export const stickyKey = Buffer.alloc(32, 5).toString('base64url');

/**
 * A table of apps by key; routes are `host/path`. Instances are `KEY-0`, `KEY-1`, …
 * @param more what else the table has
 */
export function tableOf(apps: Record<string, TestApp>, more: Partial<RouteTable> = {}): RouteTable {
  const table: RouteTable = { version: ++tableVersion, http: [], tcp: [], backends: {}, stickyKey, ...more };
  for (const [
    key,
    { app, state = 'serving', servers, routes = [`${key}.test`], tcp = [], gray, releases = [], protocol, settings },
  ] of Object.entries(apps)) {
    const endpoints = servers.map(({ port }, index): Endpoint => {
      const release = releases[index] ?? 1;
      return { instance: `${key}-${index}`, name: `web.${index + 1}`, release, address: '127.0.0.1', port };
    });
    const backend = { app: app ?? `default/dev/${key}`, appId: `app_${key}`, state, endpoints };
    table.backends[key] = { ...backend, ...(gray && { gray }), ...(protocol && { protocol }), ...settings };
    for (const route of routes) {
      const slash = route.indexOf('/');
      const host = slash === -1 ? route : route.slice(0, slash);
      table.http.push({ host, path: slash === -1 ? '/' : route.slice(slash), backend: key });
    }
    for (const port of tcp) table.tcp.push({ port, backend: key });
  }
  return table;
}

/** Closes what a test opened, last first. */
export class CleanUp {
  readonly #actions: (() => unknown)[] = [];

  add<T extends { close(): unknown }>(resource: T): T {
    this.#actions.push(() => resource.close());
    return resource;
  }

  async run(): Promise<void> {
    for (const action of this.#actions.splice(0).reverse()) await action();
  }
}

export const portOf = (url: string): number => Number(new URL(url).port);
