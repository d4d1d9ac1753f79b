/**
 * The live side of a route table: one record per endpoint with its open requests and its idle connections, kept across
 * tables, so that counts stay true while an endpoint drains.
 */
import {
  defaultOutlier,
  type Backend,
  type Endpoint,
  type Outlier,
  type RouterTraffic,
  type RouteTable,
} from '../../shared/contracts/routes.ts';
import type { RegionsOf } from '../../shared/gray/regions.ts';
import { GrayRelease } from './http/selection.ts';
import { LimitsOfApps, type AppLimits } from './limits/app-limits.ts';
import { keepHalf, noteFailure, type Ejectable } from './limits/outlier.ts';
import type { WaitingLine } from './limits/waiting-line.ts';
import { atOnce } from './slices.ts';
import { Traffic, type ReleaseCounter } from './traffic.ts';

/** What an endpoint keeps for later requests; a connection of the HTTP side. */
export interface Idle {
  destroy(): void;
}

/** A connection that requests share. */
export interface Link {
  /** Takes no more of them, and ends with those it has. */
  close(): void;
}

/** How long an endpoint that did not accept a connection is passed over while there are others. */
const avoidMs = 2000;

export class LiveEndpoint implements Ejectable {
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
  /** Where requests wait for it; null where there is always room. */
  line: WaitingLine | null = null;
  failures = 0;
  ejectedUntil = 0;
  /** After a failed connect it is passed over until then (ms since the epoch), while others are left. */
  avoidUntil = 0;
  /** Connections at rest, the most recently used last. */
  readonly idle: Idle[] = [];
  /** Connections that many requests share (HTTP/2), and that take more. */
  readonly links: Link[] = [];

  constructor(endpoint: Endpoint, traffic: ReleaseCounter) {
    this.instance = endpoint.instance;
    this.name = endpoint.name;
    this.release = endpoint.release;
    this.address = endpoint.address;
    this.port = endpoint.port;
    this.traffic = traffic;
  }

  /** A request or connection is over: another one may come. */
  left(): void {
    this.open--;
    this.line?.serve(1);
  }

  /** It answered 500 or above, or nothing. @param among those that the request could have gone to */
  failed(among: readonly LiveEndpoint[], outlier: Outlier, now: number): void {
    if (!noteFailure(this, among, outlier, now)) return;
    // Who waits may go there again as soon as it is back.
    const { line } = this;
    if (line) setTimeout(() => line.serve(), outlier.ejectMs).unref();
  }

  /** It did not accept a connection. @param among as for `failed` */
  refused(among: readonly LiveEndpoint[], outlier: Outlier, now: number): void {
    this.avoidUntil = Math.max(this.ejectedUntil, now + avoidMs);
    this.failed(among, outlier, now);
  }

  retire(): void {
    this.retired = true;
    for (const connection of this.idle.splice(0)) connection.destroy();
    for (const link of [...this.links]) link.close();
  }
}

export interface LiveBackend {
  app: string;
  appId: string;
  state: Backend['state'];
  protocol: 'http' | 'h2c';
  endpoints: LiveEndpoint[];
  /** null: every endpoint may get every request. */
  gray: GrayRelease | null;
  /** null: none, and no maintenance either. */
  limits: AppLimits | null;
  outlier: Outlier;
}

export class Endpoints {
  readonly #regions: RegionsOf;
  #backends = new Map<string, LiveBackend>();
  #current = new Map<string, LiveEndpoint>();
  readonly #draining = new Set<LiveEndpoint>();
  readonly #traffic = new Traffic();
  readonly #limits = new LimitsOfApps();

  /** @param regions where a client is, by its address */
  constructor(regions: RegionsOf = () => []) {
    this.#regions = regions;
  }

  /**
   * Takes up a table: known endpoints keep their record, those that are gone are retired.
   * @returns to be called when routes are in force too: who waits tries again
   */
  update(table: Pick<RouteTable, 'backends' | 'stickyKey'>): () => void {
    return atOnce(this.updating(table));
  }

  /** As `update`, in steps, app by app; it is in force with the last of them. One at a time. */
  *updating({ backends, stickyKey = '' }: Pick<RouteTable, 'backends' | 'stickyKey'>): Generator<void, () => void> {
    const key = Buffer.from(stickyKey, 'base64url');
    const current = new Map<string, LiveEndpoint>();
    const live = new Map<string, LiveBackend>();
    const counters = new Set<ReleaseCounter>();
    const now = Date.now();
    for (const [name, backend] of Object.entries(backends)) {
      const limits = this.#limits.take(backend);
      const endpoints = new Map<string, LiveEndpoint>();
      for (const endpoint of backend.endpoints) {
        const id = `${backend.appId} ${endpoint.instance} ${endpoint.name} ${endpoint.release} ${endpoint.address} ${endpoint.port}`;
        const counter = this.#traffic.of(backend.appId, endpoint.release);
        const record = current.get(id) ?? this.#current.get(id) ?? new LiveEndpoint(endpoint, counter);
        record.line = limits?.line ?? null;
        counters.add(counter);
        current.set(id, record);
        endpoints.set(id, record);
      }
      const own = [...endpoints.values()];
      const gray = backend.gray ? new GrayRelease(backend.appId, backend.gray, own, key, this.#regions) : null;
      if (own.some(({ ejectedUntil }) => ejectedUntil > now)) keepHalf(own, now);
      const { app, appId, state, protocol = 'http', outlier = defaultOutlier } = backend;
      live.set(name, { app, appId, state, protocol, endpoints: own, gray, limits, outlier });
      yield;
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
    return this.#limits.taken();
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

  /** Instances in force that get no requests for a while. */
  ejected(): string[] {
    const now = Date.now();
    return [...this.#current.values()].filter((record) => record.ejectedUntil > now).map(({ instance }) => instance);
  }

  /** Frees memory of clients that have not asked for a while. */
  sweep(): void {
    this.#limits.sweep(performance.now());
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
}

/** From this number on two random ones are compared instead of all. */
const large = 16;

/**
 * The endpoint with the fewest open requests among those not tried yet, ties broken at random; null when none is left.
 * Endpoints that refused connections a moment ago come last, and those that are out only when all others were tried.
 * @param most requests that one may have open; those with as many are as if they were not there
 * @param random a number in [0, 1)
 */
export function choose(
  endpoints: readonly LiveEndpoint[],
  tried: readonly LiveEndpoint[],
  now: number,
  most = Infinity,
  random: () => number = Math.random,
): LiveEndpoint | null {
  if (endpoints.length >= large) {
    const one = endpoints[Math.floor(random() * endpoints.length)]!;
    const other = endpoints[Math.floor(random() * endpoints.length)]!;
    const better = one.open <= other.open ? one : other;
    if (better.avoidUntil <= now && better.open < most && !tried.includes(better)) return better;
  }
  const best = fewestOpen(endpoints, tried, now, now, most, random);
  if (best) return best;
  const preferred = fewestOpen(endpoints, tried, Infinity, now, most, random);
  if (preferred || endpoints.some((other) => other.ejectedUntil <= now && !tried.includes(other))) return preferred;
  return fewestOpen(endpoints, tried, Infinity, Infinity, most, random);
}

/** @param avoidable, back passed over is what is to be avoided, or out, beyond these moments */
function fewestOpen(
  endpoints: readonly LiveEndpoint[],
  tried: readonly LiveEndpoint[],
  avoidable: number,
  back: number,
  most: number,
  random: () => number,
): LiveEndpoint | null {
  let best: LiveEndpoint | null = null;
  let ties = 0;
  for (const endpoint of endpoints) {
    const { avoidUntil, ejectedUntil, open } = endpoint;
    if (avoidUntil > avoidable || ejectedUntil > back || open >= most || tried.includes(endpoint)) continue;
    if (!best || open < best.open) {
      best = endpoint;
      ties = 1;
    } else if (open === best.open && random() * ++ties < 1) best = endpoint;
  }
  return best;
}
