/**
 * The Cloud port: what the control plane asks of an IaaS account. Drivers do calls and translate; which hosts there
 * shall be, and waiting for them, is the control plane's.
 *
 *   create ──► pending ──► running ◄──► stopping ──► stopped ──► deleting ──► gone (or no longer listed)
 *                 │           │                         ▲ start leads back to pending
 *                 └─► error ◄─┘          unknown: a state that this driver does not know (rawState has it)
 *
 * Creating without leaks and doubles, by whoever calls: record an intent with a unique token, `findByToken`, `create`,
 * record the id, then wait. After `cloud_ambiguous` look the token up before creating again.
 *
 * Errors are PaasErrors: cloud_auth, cloud_skew, cloud_throttled (details.retryAfterMs), cloud_quota, cloud_capacity,
 * cloud_not_found, conflict (the host's state does not permit it), cloud_ambiguous (the connection broke, or the answer
 * was unreadable, after a create was sent), cloud_failed (anything else), timeout (a job was waited for too long).
 */
import type { Transport } from './http.ts';

export type CloudHostState = 'pending' | 'running' | 'stopping' | 'stopped' | 'deleting' | 'gone' | 'error' | 'unknown';

export interface CloudHost {
  /** The provider's id. */
  id: string;
  /** The intent token it was created with; undefined when the provider does not show it (see `warning`). */
  token?: string;
  name: string;
  state: CloudHostState;
  /** The provider's own word for the state. */
  rawState: string;
  addresses: string[];
  /** ISO time, or '' where the provider does not say. */
  createdAt: string;
  /** What went wrong although the host exists: "could not be tagged: …". */
  warning?: string;
}

export interface CreateHost {
  /** Unique for each intent: letters, digits, `_` and `-`, at most 64. A host is found by it even when no answer came. */
  token: string;
  /** For people, in the provider's console. */
  name: string;
  /** Cores; rounded up to what the provider sells. */
  cpu: number;
  memoryMb: number;
  diskGb?: number;
  /** Handed to the host at its first boot. */
  userData: string;
  zone?: string;
  image?: string;
  /** Names or ids of keys stored at the provider. */
  sshKeys?: string[];
  /** Further labels, for people. Keys and values of letters, digits, `.`, `_`, `-` and `/`. */
  tags?: Record<string, string>;
}

export interface CloudCheck {
  /** Provider's clock minus ours. */
  clockOffsetMs: number;
  /** Hosts of this platform. */
  hosts: number;
  zones: string[];
  images: string[];
  /** Ceiling of hosts, where the provider tells. */
  quota: { hosts: number } | null;
  /** What would make a create fail or is worth knowing, each a sentence. Empty: all is well. */
  problems: string[];
}

export interface CloudDriver {
  /** Credentials, clock, zone, image and quota where they can be known: for `paas clouds test`. Changes nothing. */
  check(): Promise<CloudCheck>;
  /** Creates one host and returns as soon as its id is known. Never repeated by itself after it may have been sent. */
  create(request: CreateHost): Promise<CloudHost>;
  /** Hosts created with this token: none, one, or more when a create was repeated. */
  findByToken(token: string): Promise<CloudHost[]>;
  /** Null when the provider does not know the host (any more). */
  get(id: string): Promise<CloudHost | null>;
  /** All hosts of this platform, and only those. */
  list(): Promise<CloudHost[]>;
  /** Power on. Does nothing when it runs or boots. Throws cloud_not_found for an unknown host. */
  start(id: string): Promise<void>;
  /** Orderly power off. Does nothing when it is off. Returns when the provider has accepted it. */
  stop(id: string): Promise<void>;
  /** Boots it again; starts it when it is off. Returns when the provider has accepted it. */
  restart(id: string): Promise<void>;
  /** Removes it with its disk, whatever its state. Does nothing when it does not exist. */
  destroy(id: string): Promise<void>;
}

/** Time as drivers see it, so that tests need not wait. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  sleep(ms: number): Promise<void>;
}

/** What a driver is given besides its configuration. */
export interface CloudDeps {
  /** Id of the platform (letters, digits, `_`, `-`): marks its hosts, so that two platforms can share an account. */
  platform: string;
  transport?: Transport;
  clock?: Clock;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};
