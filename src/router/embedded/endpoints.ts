/**
 * The live side of a route table: one record per endpoint with its open requests and its idle connections, kept across
 * tables, so that counts stay true while an endpoint drains.
 */
import type { Backend, Endpoint, RouterTraffic, RouteTable } from '../../shared/contracts/routes.ts';
import { GrayRelease } from './http/selection.ts';
import { Traffic, type ReleaseCounter } from './traffic.ts';

/** What an endpoint keeps for later requests; a connection of the HTTP side. */
export interface Idle {
  destroy(): void;
}

export class LiveEndpoint {
  readonly instance: string;
  readonly name: string;
  readonly release: number;
  readonly address: string;
  readonly port: number;
  readonly traffic: ReleaseCounter;
  /** Requests and connections under way. */
  open = 0;
  /** No longer in the table: gets no new request. */
  retired = false;
  /** After a failed connect it is passed over until then (ms since the epoch), while others are left. */
  avoidUntil = 0;
  /** Connections at rest, the most recently used last. */
  readonly idle: Idle[] = [];

  constructor(endpoint: Endpoint, traffic: ReleaseCounter) {
    this.instance = endpoint.instance;
    this.name = endpoint.name;
    this.release = endpoint.release;
    this.address = endpoint.address;
    this.port = endpoint.port;
    this.traffic = traffic;
  }

  retire(): void {
    this.retired = true;
    for (const connection of this.idle.splice(0)) connection.destroy();
  }
}

export interface LiveBackend {
  app: string;
  appId: string;
  state: Backend['state'];
  endpoints: LiveEndpoint[];
  /** null: every endpoint may get every request. */
  gray: GrayRelease | null;
}

export class Endpoints {
  #backends = new Map<string, LiveBackend>();
  #current = new Map<string, LiveEndpoint>();
  readonly #draining = new Set<LiveEndpoint>();
  readonly #traffic = new Traffic();

  /** Takes up a table: known endpoints keep their record, those that are gone are retired. */
  update({ backends, stickyKey = '' }: Pick<RouteTable, 'backends' | 'stickyKey'>): void {
    const key = Buffer.from(stickyKey, 'base64url');
    const current = new Map<string, LiveEndpoint>();
    const live = new Map<string, LiveBackend>();
    const counters = new Set<ReleaseCounter>();
    for (const [name, backend] of Object.entries(backends)) {
      const endpoints = new Map<string, LiveEndpoint>();
      for (const endpoint of backend.endpoints) {
        const id = `${backend.appId} ${endpoint.instance} ${endpoint.name} ${endpoint.release} ${endpoint.address} ${endpoint.port}`;
        const counter = this.#traffic.of(backend.appId, endpoint.release);
        const record = current.get(id) ?? this.#current.get(id) ?? new LiveEndpoint(endpoint, counter);
        counters.add(counter);
        current.set(id, record);
        endpoints.set(id, record);
      }
      const own = [...endpoints.values()];
      const gray = backend.gray ? new GrayRelease(backend.appId, backend.gray, own, key) : null;
      live.set(name, { ...backend, endpoints: own, gray });
    }
    for (const [id, record] of this.#current) {
      if (current.has(id)) continue;
      record.retire();
      if (record.open > 0) this.#draining.add(record);
    }
    this.#current = current;
    this.#backends = live;
    for (const { traffic } of this.#draining) counters.add(traffic);
    this.#traffic.prune(counters);
  }

  backend(key: string): LiveBackend | undefined {
    return this.#backends.get(key);
  }

  /** Open requests and connections by instance id, those of retired endpoints included, zeros left out. */
  open(): Record<string, number> {
    const open: Record<string, number> = {};
    const add = (record: LiveEndpoint): void => {
      if (record.open > 0) open[record.instance] = (open[record.instance] ?? 0) + record.open;
    };
    for (const record of this.#draining) {
      add(record);
      if (record.open === 0) this.#draining.delete(record);
    }
    for (const record of this.#current.values()) add(record);
    return open;
  }

  /** What each release has answered, and what it has under way. */
  traffic(): RouterTraffic {
    const open = new Map<ReleaseCounter, number>();
    const add = (record: LiveEndpoint): void => {
      if (record.open > 0) open.set(record.traffic, (open.get(record.traffic) ?? 0) + record.open);
    };
    for (const record of this.#draining) add(record);
    for (const record of this.#current.values()) add(record);
    return this.#traffic.read(open);
  }

  /** Closes all connections at rest. */
  closeIdle(): void {
    for (const record of this.#current.values()) for (const idle of record.idle.splice(0)) idle.destroy();
  }

  /** Every endpoint in force. */
  all(): Iterable<LiveEndpoint> {
    return this.#current.values();
  }
}

/** From this number on two random ones are compared instead of all. */
const large = 16;

/**
 * The endpoint with the fewest open requests among those not tried yet, ties broken at random; null when none is left.
 * Endpoints that refused connections a moment ago come last.
 * @param random a number in [0, 1)
 */
export function choose(
  endpoints: readonly LiveEndpoint[],
  tried: readonly LiveEndpoint[],
  now: number,
  random: () => number = Math.random,
): LiveEndpoint | null {
  if (endpoints.length >= large) {
    const one = endpoints[Math.floor(random() * endpoints.length)]!;
    const other = endpoints[Math.floor(random() * endpoints.length)]!;
    const better = one.open <= other.open ? one : other;
    if (better.avoidUntil <= now && !tried.includes(better)) return better;
  }
  return fewestOpen(endpoints, tried, now, random) ?? fewestOpen(endpoints, tried, Infinity, random);
}

function fewestOpen(
  endpoints: readonly LiveEndpoint[],
  tried: readonly LiveEndpoint[],
  now: number,
  random: () => number,
): LiveEndpoint | null {
  let best: LiveEndpoint | null = null;
  let ties = 0;
  for (const endpoint of endpoints) {
    if (endpoint.avoidUntil > now || tried.includes(endpoint)) continue;
    if (!best || endpoint.open < best.open) {
      best = endpoint;
      ties = 1;
    } else if (endpoint.open === best.open && random() * ++ties < 1) best = endpoint;
  }
  return best;
}
