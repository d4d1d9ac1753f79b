/**
 * A route table as records for nginx's dictionary, so that a change of one app is a change of a few of them:
 *
 *   generation, version, slots, counters   numbers
 *   meta          what all requests may need
 *   h:HOST w:SUFFIX   routes of a host, of a wildcard's suffix
 *   b:KEY         a backend with its endpoints
 *   c:NAME        the certificate for a name
 *   a:TOKEN       an answer to ACME
 *   e:N t:N       names of the numbers under which endpoints and releases are counted
 *
 * On disk they are lines of `key<TAB>value`, closed by `end<TAB>count`.
 */
import { defaultOutlier, type Backend, type Gray, type RouteTable } from '../../shared/contracts/routes.ts';
import { PaasError } from '../../shared/errors.ts';
import { shareKeys, shares } from '../../shared/gray/sticky.ts';
import { bracketed } from '../addresses.ts';
import { flags } from '../pages.ts';
import { maxCounters, maxSlots } from './layout.ts';
import { luaLiteral, type Literal } from './literal.ts';
import { Numbers } from './numbers.ts';
import type { RegionCopy } from './regions.ts';

export type Records = Map<string, string>;

/** What endpoints and releases are counted under. */
export interface Counted {
  slots: Numbers;
  counters: Numbers;
  /** Slots of endpoints that TCP routes lead to, or led to. */
  tcp: Set<number>;
}

export const newCounted = (): Counted => ({
  slots: new Numbers(maxSlots),
  counters: new Numbers(maxCounters),
  tcp: new Set(),
});

export interface Surroundings {
  /** Where TLS is listened for, while it is. */
  tlsPort: number | undefined;
  /** The database for rules by region. */
  regions?: RegionCopy | undefined;
  /**
   * The location of an app's requests, where it is not the usual one, and of those whose body has to be counted; and
   * what of a body a location of its own takes at most, in bytes.
   */
  location(backend: Backend): { all?: string | undefined; uncounted?: string | undefined; most?: number | undefined };
}

/**
 * @param fresh gets the slots that were given out just now, whose old counts must be forgotten
 * @throws PaasError `too_large` where more is to be counted than fits
 */
export function toRecords(table: RouteTable, counted: Counted, around: Surroundings, fresh: number[] = []): Records {
  const records: Records = new Map();
  const put = (key: string, value: Literal): void => void records.set(key, luaLiteral(value));
  for (const [key, backend] of Object.entries(table.backends)) {
    records.set(backendKey(key), backendRecord(backend, counted, around.location(backend), fresh));
  }
  const wild = addRoutes(table, put);
  const { certificates = [], challenges = {}, stickyKey } = table;
  for (const { hosts, chain, key } of certificates) {
    for (const host of hosts.map((name) => name.toLowerCase())) {
      if (!records.has(`c:${host}`)) put(`c:${host}`, { chain, key });
    }
  }
  for (const [token, answer] of Object.entries(challenges)) put(`a:${encodeURIComponent(token)}`, { answer });
  put('meta', { wild, stickyKey, tlsPort: around.tlsPort, regions: around.regions });
  for (const [name, number] of counted.slots.entries()) put(`e:${number}`, name);
  for (const [name, number] of counted.counters.entries()) put(`t:${number}`, name);
  for (const { backend } of table.tcp) {
    for (const { instance, address, port } of table.backends[backend]?.endpoints ?? []) {
      const slot = counted.slots.take(slotName(instance, address, port));
      if (slot) counted.tcp.add(slot.number);
    }
  }
  put('tcp', [...counted.tcp].join(' '));
  records.set('slots', String(counted.slots.end));
  records.set('counters', String(counted.counters.end));
  records.set('version', String(table.version));
  return records;
}

const backendKey = (key: string): string => `b:${encodeURIComponent(key)}`;

function backendRecord(
  backend: Backend,
  counted: Counted,
  location: ReturnType<Surroundings['location']>,
  fresh: number[],
): string {
  const { app, appId: id, state, gray, maintenance, outlier = defaultOutlier } = backend;
  const limits = strictest(backend.limits, location.most);
  const eps = new Map<string, string>();
  for (const { instance, name, release, address, port } of backend.endpoints) {
    const slot = counted.slots.take(slotName(instance, address, port));
    const counter = counted.counters.take(counterName(id, release));
    if (!slot || !counter) {
      throw new PaasError('too_large', `The route table has more than ${maxSlots} instances with open requests.`);
    }
    if (slot.fresh) fresh.push(slot.number);
    // By hand, since a large table is mostly this.
    eps.set(
      `${slot.number} ${release} ${name}`,
      `{["slot"]=${slot.number},["counter"]=${counter.number},["address"]=${luaLiteral(bracketed(address))},` +
        `["port"]=${port},["name"]=${luaLiteral(name)},["release"]=${release},}`,
    );
  }
  const text = luaLiteral({
    ...{ app, id, flags: flags(app), state, outlier, location: location.all, limits, maintenance },
    body: location.uncounted,
    gray: gray && grayRecord(gray),
    special: Boolean(gray ?? limits ?? maintenance),
  });
  return `${text.slice(0, -1)}["eps"]={${[...eps.values()].join(',')}},}`;
}

/** nginx itself looks at the length that a request says only before it is in the app's location. */
function strictest(limits: Backend['limits'], most: number | undefined): Backend['limits'] {
  if (most === undefined) return limits;
  return { ...limits, maxBodyBytes: Math.min(most, limits?.maxBodyBytes ?? most) };
}

/** Counts of one instance at one address; its name comes last, since it may contain anything. */
export const slotName = (instance: string, address: string, port: number): string => `${address} ${port} ${instance}`;
export const counterName = (appId: string, release: number): string => `${release} ${appId}`;
/** What comes behind the given number of blanks. */
export const afterBlanks = (name: string, blanks: number): string => name.split(' ').slice(blanks).join(' ');

function grayRecord({ releases, rules }: Gray): Literal {
  return {
    releases,
    rules: rules.map(({ release, all }) => ({
      release,
      all: all.map((condition) =>
        condition.kind === 'percent'
          ? { kind: 'percent', below: Math.round((condition.percent * shares) / 100), keys: [...shareKeys(release)] }
          : condition,
      ),
    })),
  };
}

/** @returns whether there are wildcards */
function addRoutes(table: RouteTable, put: (key: string, value: Literal) => void): boolean {
  const hosts = new Map<string, { longest: number; routes: Record<string, Literal> }>();
  let wild = false;
  for (const { host, path, backend, https } of table.http) {
    const isWild = host.startsWith('*.');
    wild ||= isWild;
    const key = isWild ? `w:${host.slice(2)}` : `h:${host}`;
    let paths = hosts.get(key);
    if (!paths) hosts.set(key, (paths = { longest: 0, routes: {} }));
    const prefix = path === '/' ? '' : path;
    paths.routes[prefix] = https ? [backendKey(backend), true] : [backendKey(backend)];
    paths.longest = Math.max(paths.longest, prefix.length);
  }
  for (const [key, paths] of hosts) put(key, paths);
  return wild;
}

/** The file that nginx reads when it begins; its end is marked, so that one cut short is known. */
export function formatRecords(records: Records): string {
  let text = '';
  for (const [key, value] of records) text += `${key}\t${value}\n`;
  return `${text}end\t${records.size}\n`;
}

/** @returns null for a file that is damaged */
export function parseRecords(text: string): Records | null {
  const records: Records = new Map();
  const lines = text.split('\n');
  if (lines.pop() !== '') return null;
  const [, count] = /^end\t(\d+)$/.exec(lines.pop() ?? '') ?? [];
  for (const line of lines) {
    const tab = line.indexOf('\t');
    records.set(line.slice(0, tab), line.slice(tab + 1));
  }
  return Number(count) === records.size ? records : null;
}

/** The numbers that records give names to. */
export function countedOf(records: Records): Counted {
  const known = (prefix: string): [string, number][] =>
    [...records].flatMap(([key, value]): [string, number][] =>
      key.startsWith(prefix) ? [[unquote(value), Number(key.slice(2))]] : [],
    );
  const tcp = new Set([...(records.get('tcp') ?? '').matchAll(/\d+/g)].map(([slot]) => Number(slot)));
  return { slots: Numbers.from(maxSlots, known('e:')), counters: Numbers.from(maxCounters, known('t:')), tcp };
}

/** The text of a literal made by `luaLiteral`. */
function unquote(literal: string): string {
  const bytes = literal.slice(1, -1).replace(/\\(\d{3})/g, (_, code: string) => String.fromCharCode(Number(code)));
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

/** The lines that turn one state of nginx's dictionary into another (lua/admin.ts); `before` null: whatever it is. */
export function difference(before: Records | null, after: Records): string {
  let text = '';
  for (const [key, value] of after) if (before?.get(key) !== value) text += `+${key}\t${value}\n`;
  for (const key of before?.keys() ?? []) if (!after.has(key)) text += `-${key}\n`;
  return text;
}
