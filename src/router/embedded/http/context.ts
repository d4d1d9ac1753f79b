/** What connections and exchanges need of the router process; one object for all of them. */
import type { Socket } from 'node:net';
import type { AccessEntry } from '../../../shared/access-line.ts';
import type { RouteTarget } from '../../table.ts';
import type { LiveBackend } from '../endpoints.ts';
import type { HeldClient, HeldUpstream } from './ends.ts';

export interface Limits {
  /** From the first byte of a head to its last. */
  headMs: number;
  /** A connection without a request. Longer than browsers and load balancers keep theirs. */
  idleMs: number;
  /** Between two pieces of a request's body. */
  bodyMs: number;
  /** A client that takes nothing of its response. */
  stallMs: number;
  connectMs: number;
  /** From the last byte of the request to the first of the answer. */
  responseMs: number;
  /** How long unread bytes are awaited and dropped behind an early answer, so that it is not lost to a reset. */
  lingerMs: number;
}

export const defaultLimits: Limits = {
  headMs: 20_000,
  idleMs: 75_000,
  bodyMs: 60_000,
  stallMs: 300_000,
  connectMs: 5_000,
  responseMs: 60_000,
  lingerMs: 2_000,
};

export interface HttpContext {
  limits: Limits;
  clients: Set<HeldClient>;
  upstreams: Set<HeldUpstream>;
  /** Clients' sockets that left HTTP (Upgrade) and end when the router stops. */
  tunnels: Set<Socket>;
  /**
   * Set when the router stops: responses that begin from then on say that their connection ends. `now`: it ends in any case;
   * `drained`: another process has taken over, and who was told that a connection stays may ask once more.
   */
  stopping: false | 'drained' | 'now';
  /** The table's version; 0 before there is one. */
  version(): number;
  route(host: string, path: string): RouteTarget | null;
  backend(key: string): LiveBackend | null;
  /** Answers of ACME's HTTP-01 by token; null while there are none. */
  challenges: ReadonlyMap<string, string> | null;
  isTrusted(address: string): boolean;
  /** Where it listens for TLS; null while it does not. */
  tlsPort(): number | null;
  /** Takes over a socket whose client speaks HTTP/2; what was read of it is in the socket again. */
  acceptHttp2(socket: Socket): void;
  /** @param appId '' for a request that no route matched */
  log(appId: string, entry: AccessEntry): void;
}
