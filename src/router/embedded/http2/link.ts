/**
 * A connection to an instance that speaks HTTP/2 without TLS (RFC 9113, 3.3: by prior knowledge). Many streams share it.
 *
 *   connecting ── its SETTINGS came ──► ready ── GOAWAY, retired, idle for long ──► closing ── last stream ended ──► closed
 *        └─ failed
 */
import { connect as connectHttp2, type ClientHttp2Session, type ClientSessionOptions } from 'node:http2';
import { connect } from 'node:net';
import { errnoOf } from '../../../shared/errors.ts';
import type { Link, LiveEndpoint } from '../endpoints.ts';
import type { HeldUpstream } from '../http/ends.ts';
import type { ConnectFailure } from '../http/upstream.ts';

export type Ready = (failure: ConnectFailure | null, detail: string) => void;

const options: ClientSessionOptions = {
  // What may be on its way for a client that does not read, for each stream.
  settings: { enablePush: false, initialWindowSize: 256 * 1024, maxHeaderListSize: 32 * 1024 },
  maxHeaderListPairs: 256,
  // MB: of all clients that share the connection.
  maxSessionMemory: 256,
};

/** Streams on one connection at most, also where the instance would take more: one connection is one queue. */
const maxStreams = 100;
const idleMs = 60_000;

export class Http2Link implements HeldUpstream {
  readonly session: ClientHttp2Session;
  deadline: number;
  readonly #endpoint: LiveEndpoint;
  /** Where it is enrolled for the sweep. */
  readonly all: Set<HeldUpstream>;
  /** Streams under way. */
  #open = 0;
  #state: 'connecting' | 'ready' | 'closing' = 'connecting';
  readonly #waiting = new Set<Ready>();
  #detail = 'it closed the connection before it spoke HTTP/2';

  /** @param all where it enrols for the sweep while it lives */
  constructor(endpoint: LiveEndpoint, all: Set<HeldUpstream>, deadline: number) {
    this.#endpoint = endpoint;
    this.all = all;
    this.deadline = deadline;
    all.add(this);
    endpoint.links.push(this);
    const { address: host, port } = endpoint;
    const authority = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
    const socket = { host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 };
    this.session = connectHttp2(authority, { ...options, createConnection: () => connect(socket) });
    // Not at 'connect': an instance that speaks HTTP/1.1 would be found out by the first request only.
    this.session.once('remoteSettings', () => this.#onReady());
    this.session.once('goaway', () => this.close());
    this.session.on('error', (error: Error) => (this.#detail = errnoOf(error) ?? error.message));
    this.session.once('close', () => this.#onClose());
  }

  /** One with room for a stream, in use already or still connecting; null when another is needed. */
  static of(endpoint: LiveEndpoint): Http2Link | null {
    const roomy = (link: Link): link is Http2Link => link instanceof Http2Link && link.#hasRoom();
    return endpoint.links.find(roomy) ?? null;
  }

  get ready(): boolean {
    return this.#state === 'ready';
  }

  /** Why it ended. */
  get detail(): string {
    return this.#detail;
  }

  #hasRoom(): boolean {
    const { remoteSettings, closed, destroyed } = this.session;
    if (this.#state === 'closing' || closed || destroyed) return false;
    const limit = this.ready ? (remoteSettings.maxConcurrentStreams ?? maxStreams) : maxStreams;
    return this.#open < Math.min(limit, maxStreams);
  }

  /** Keeps a place for a stream. @param ready called when the connection is there or failed; not where it is ready now */
  enter(ready: Ready): void {
    this.#open++;
    if (this.ready) this.deadline = 0;
    else this.#waiting.add(ready);
  }

  /** A stream ended, or will not be opened. */
  leave(ready: Ready): void {
    this.#waiting.delete(ready);
    if (--this.#open > 0 || this.#state === 'connecting') return;
    if (this.#state === 'closing') this.session.close();
    else this.deadline = Date.now() + idleMs;
  }

  /** Takes no more streams, and ends with those it has. */
  close(): void {
    // One that is still connecting has requests waiting, which look for another endpoint as soon as it is there.
    if (this.#state === 'connecting') return;
    this.#state = 'closing';
    this.#unlist();
    // Not before: a session that is closed refuses the streams that have a place, but are not opened yet.
    if (this.#open === 0) this.session.close();
  }

  expire(): void {
    this.deadline = 0;
    if (this.#state === 'connecting') {
      this.#tell('timeout', 'it did not accept a connection in time');
      this.destroy();
    } else if (this.#open === 0) this.close();
  }

  destroy(): void {
    this.session.destroy();
  }

  #onReady(): void {
    if (this.#state !== 'connecting') return;
    this.#state = 'ready';
    this.deadline = this.#open > 0 ? 0 : Date.now() + idleMs;
    // A slow client must not hold others back: what bounds memory is the windows of the streams.
    this.session.setLocalWindowSize(2 ** 31 - 1);
    if (this.#endpoint.retired) this.close();
    this.#tell(null, '');
  }

  #onClose(): void {
    this.all.delete(this);
    this.#unlist();
    this.#state = 'closing';
    this.#tell('refused', this.#detail);
  }

  #unlist(): void {
    const { links } = this.#endpoint;
    const at = links.indexOf(this);
    if (at !== -1) links.splice(at, 1);
  }

  #tell(failure: ConnectFailure | null, detail: string): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const ready of waiting) ready(failure, detail);
  }
}
