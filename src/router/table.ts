/**
 * Route matching, pure: a table becomes an index whose look-up cost does not grow with the number of routes.
 * Host: the exact one, else the wildcard with the longest suffix. Path: the longest prefix that ends at a segment border.
 * Paths are compared as they were sent (no decoding, no `..` resolution), and passed on whole.
 */
import type { RouteTable } from '../shared/contracts/routes.ts';
import { PaasError } from '../shared/errors.ts';

/** Where a route leads. */
export interface RouteTarget {
  /** Key of the backend. */
  backend: string;
  /** Over TLS only. */
  https: boolean;
}

interface Paths {
  /** By path without its trailing slash (so `/` is ''). */
  byPath: Map<string, RouteTarget>;
  longest: number;
}

export interface RouteIndex {
  exact: Map<string, Paths>;
  /** By the suffix behind `*.`. */
  wildcard: Map<string, Paths>;
}

const hostName = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*$/;
const ipv6Literal = /^\[[0-9a-f:.]{2,45}\]$/;
const pathForm = /^\/(?:[\x21-\x22\x24-\x3e\x40-\x7e]*[\x21-\x22\x24-\x2e\x30-\x3e\x40-\x7e])?$/;
const tableInvalid = (message: string): PaasError =>
  new PaasError('bad_request', `The route table is invalid: ${message}`, {
    hint: 'This is a bug of whoever made the table; the router keeps the table that it has.',
  });

/**
 * @throws PaasError `bad_request` when a route names an unknown backend, is doubled, or has a host or path that no
 *   request can match
 */
export function compileTable(table: Pick<RouteTable, 'http' | 'tcp' | 'backends'>): RouteIndex {
  const index: RouteIndex = { exact: new Map(), wildcard: new Map() };
  for (const route of table.http) {
    const name = `${route.host}${route.path}`;
    const wild = route.host.startsWith('*.');
    const host = wild ? route.host.slice(2) : route.host;
    if (!hostName.test(host) && !(ipv6Literal.test(host) && !wild)) throw tableInvalid(`bad host in route ${name}`);
    if (!pathForm.test(route.path)) throw tableInvalid(`bad path in route ${name}`);
    requireBackend(table.backends, route.backend, name);
    const hosts = wild ? index.wildcard : index.exact;
    let paths = hosts.get(host);
    if (!paths) hosts.set(host, (paths = { byPath: new Map(), longest: 0 }));
    const path = route.path === '/' ? '' : route.path;
    if (paths.byPath.has(path)) throw tableInvalid(`two routes for ${name}`);
    paths.byPath.set(path, { backend: route.backend, https: route.https === true });
    paths.longest = Math.max(paths.longest, path.length);
  }
  const ports = new Set<number>();
  for (const route of table.tcp) {
    if (route.port < 1 || route.port > 65_535) throw tableInvalid(`TCP port ${route.port}`);
    if (ports.has(route.port)) throw tableInvalid(`two routes for TCP port ${route.port}`);
    ports.add(route.port);
    requireBackend(table.backends, route.backend, `TCP port ${route.port}`);
  }
  for (const backend of Object.values(table.backends)) {
    for (const endpoint of backend.endpoints) {
      const where = `${endpoint.address}:${endpoint.port}`;
      if (endpoint.port < 1 || endpoint.port > 65_535) throw tableInvalid(`endpoint ${where} of ${backend.app}`);
    }
  }
  return index;
}

function requireBackend(backends: RouteTable['backends'], key: string, route: string): void {
  if (!Object.hasOwn(backends, key)) throw tableInvalid(`route ${route} names the unknown backend "${key}"`);
}

/**
 * Where a request goes, or null. `host` is lower case and without port (see `normalizeHost`), `path`
 * starts with `/` and has no query. A host whose own routes do not cover the path falls back to wildcards.
 */
export function match(index: RouteIndex, host: string, path: string): RouteTarget | null {
  const exact = index.exact.get(host);
  const found = exact && matchPath(exact, path);
  if (found !== undefined) return found;
  if (index.wildcard.size === 0) return null;
  for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) {
    const paths = index.wildcard.get(host.slice(dot + 1));
    const target = paths && matchPath(paths, path);
    if (target !== undefined) return target;
  }
  return null;
}

function matchPath(paths: Paths, path: string): RouteTarget | undefined {
  // Only prefixes up to the longest route are tried, so that a path of ten thousand slashes costs nothing.
  let end = path.length;
  if (end > paths.longest + 1) end = path.lastIndexOf('/', paths.longest + 1);
  for (; end > 0; end = path.lastIndexOf('/', end - 1)) {
    const found = paths.byPath.get(path.slice(0, end));
    if (found !== undefined) return found;
  }
  return paths.byPath.get('');
}

/**
 * A Host header's value as routes know it: lower case, without port and trailing dot. Null when it is no valid host
 * (RFC 9110, 7.2: such a request is answered with 400).
 */
export function normalizeHost(value: string): string | null {
  let host = value.toLowerCase();
  const colon = host.lastIndexOf(':');
  if (colon !== -1 && colon > host.lastIndexOf(']')) {
    if (!/^[0-9]{0,5}$/.test(host.slice(colon + 1))) return null;
    host = host.slice(0, colon);
  }
  if (host.endsWith('.')) host = host.slice(0, -1);
  return hostName.test(host) || ipv6Literal.test(host) ? host : null;
}
