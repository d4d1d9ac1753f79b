/**
 * Where TCP routes lead, as files that nginx reads at each connection (lua/tcp.ts), so that other instances take no reload:
 *
 *   ports/5432                 {"to":["10.0.0.7:20001"],"most":100}
 *   open/10.0.0.7:20001/       an empty file for each open connection: PID-NUMBER
 *   avoid/10.0.0.7:20001       its time is when a connection was refused
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Backend, RouteTable } from '../../shared/contracts/routes.ts';
import { errnoOf } from '../../shared/errors.ts';
import { processIdentity } from '../../shared/processes.ts';
import { bracketed } from '../addresses.ts';

/** As nginx writes addresses with ports. */
const placeOf = (address: string, port: number): string => `${bracketed(address)}:${port}`;

/** Gives connections that come from now on to the instances of a table. */
export function writeTcpFiles(directory: string, { tcp, backends }: Pick<RouteTable, 'tcp' | 'backends'>): void {
  const [ports, open, avoid] = ['ports', 'open', 'avoid'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  const routes = new Map(tcp.map(({ port, backend }) => [String(port), routeOf(backends[backend])]));
  const used = new Set([...routes.values()].flatMap(({ to }) => to));
  if (routes.size === 0 && namesIn(directory).length === 0) return;
  for (const path of [ports, open, avoid]) mkdirSync(path, { recursive: true, mode: 0o700 });
  for (const place of used) mkdirSync(join(open, place), { recursive: true, mode: 0o700 });
  for (const [port, route] of routes) replaceIfOther(join(ports, port), JSON.stringify(route));
  for (const port of namesIn(ports)) if (!routes.has(port)) rmSync(join(ports, port), { force: true });
  for (const place of namesIn(avoid)) if (!used.has(place)) rmSync(join(avoid, place), { force: true });
  for (const place of namesIn(open)) forgetDead(join(open, place), used.has(place));
}

/** Before nginx begins: what was open has ended. */
export function forgetConnections(directory: string): void {
  const open = join(directory, 'open');
  for (const place of namesIn(open)) {
    for (const name of namesIn(join(open, place))) rmSync(join(open, place, name), { force: true });
  }
}

/** Nobody gets through in maintenance. */
function routeOf(backend: Backend | undefined): { to: string[]; most?: number } {
  if (!backend || backend.maintenance) return { to: [] };
  const most = backend.limits?.concurrency;
  const to = backend.endpoints.map(({ address, port }) => placeOf(address, port));
  return { to, ...(most !== undefined && { most }) };
}

function replaceIfOther(path: string, text: string): void {
  try {
    if (readFileSync(path, 'utf8') === text) return;
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** A worker that was killed leaves the files of its connections behind. */
function forgetDead(directory: string, used: boolean): void {
  for (const name of namesIn(directory)) {
    if (!processIdentity(Number.parseInt(name, 10))) rmSync(join(directory, name), { force: true });
  }
  if (used) return;
  try {
    rmdirSync(directory);
  } catch (error) {
    // It has connections still.
    if (errnoOf(error) !== 'ENOTEMPTY' && errnoOf(error) !== 'ENOENT') throw error;
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
