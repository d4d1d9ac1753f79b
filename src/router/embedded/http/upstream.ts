/**
 * One connection to an instance: carries one request at a time and reads its response. It never sends anything again;
 * whether a request may go elsewhere is decided by who uses it, and only before the first byte.
 *
 *   connecting ──► ready ──begin──► busy ──response complete, reusable──► idle ──begin──► busy …
 *        │           └─────────────── any failure, or not reusable ──────────► closed
 *        └─ failed
 */
import { connect, type Socket } from 'node:net';
import { errnoOf } from '../../../shared/errors.ts';
import type { LiveEndpoint } from '../endpoints.ts';
import { BodyDecoder, untilClose } from './body.ts';
import type { HeldUpstream, Upstream } from './ends.ts';
import { HeadReader, parseResponseHead, type ResponseHead } from './grammar.ts';
import { Output } from './output.ts';
import { responseFacts, type ResponseFacts } from './response-fields.ts';

/** Who gets the response. After `onEnd`, `onSwitch` or `onBroken` nothing more is called. */
export interface ResponseSink {
  readonly method: string;
  /** Whether the whole request has been handed to the connection. */
  readonly requestSent: boolean;
  /** 100, 102, 103. */
  onInterim(head: ResponseHead, facts: ResponseFacts): void;
  /** 101: the socket now belongs to the sink, with the bytes read behind the head (valid until it returns). */
  onSwitch(head: ResponseHead, facts: ResponseFacts, socket: Socket, rest: Buffer | null): void;
  onHead(head: ResponseHead, facts: ResponseFacts): void;
  /** @param content valid until it returns */
  onContent(content: Buffer): void;
  onEnd(trailers: string): void;
  /** The end of one read: what was gathered can be written. False pauses the instance. */
  onFlush(): boolean;
  /** The connection takes more of the request's body. */
  onDrain(): void;
  /** HTTP/2 only: the instance says that it did nothing with the request, so that it may be sent again. */
  onUnprocessed(detail: string): void;
  /** `timeout`: no sign of an answer in time. `invalid`: not HTTP. `closed`: broke off; `cause` where there is one. */
  onBroken(why: 'timeout' | 'invalid' | 'closed', detail: string): void;
}

export type ConnectFailure = 'timeout' | 'refused';

/** Instances rarely say how long they keep idle connections; gunicorn's 2 s is the shortest common one. */
const defaultIdleMs = 1000;
const maxIdleMs = 60_000;
const maxIdlePerEndpoint = 256;

/**
 * All connections read into the same memory, one after the other: what is read is passed on, or copied, before the next
 * read. A buffer and a stream event for each read would be a seventh of the router's time.
 */
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024);

export class UpstreamConnection implements Upstream, HeldUpstream {
  readonly socket: Socket;
  readonly output: Output;
  readonly endpoint: LiveEndpoint;
  /** When it is too late for what it waits for (ms since the epoch); 0: it waits for nothing. Held by a sweep. */
  deadline = 0;
  readonly #all: Set<HeldUpstream>;
  /** It is somebody else's now, who reads it as a stream. */
  #left = false;
  #reader = new HeadReader();
  #sink: ResponseSink | null = null;
  #body: BodyDecoder | null = null;
  #facts: ResponseFacts | null = null;
  readonly #listeners = {
    connect: (): void => this.#connected(null, ''),
    drain: (): void => this.#sink?.onDrain(),
    end: (): void => this.#onEnd(),
    error: (error: Error): void => this.#onError(error),
    close: (): void => this.#onClose(),
  };
  #connecting: ((failure: ConnectFailure | null, detail: string) => void) | null;

  /**
   * Connects; `ready` is called once, with null or the reason of the failure.
   * @param all where it enrols for the sweep while it lives
   */
  constructor(
    endpoint: LiveEndpoint,
    all: Set<HeldUpstream>,
    deadline: number,
    ready: (failure: ConnectFailure | null, detail: string) => void,
  ) {
    this.endpoint = endpoint;
    this.deadline = deadline;
    this.#all = all;
    this.#connecting = ready;
    all.add(this);
    this.socket = connect({
      host: endpoint.address,
      port: endpoint.port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
      allowHalfOpen: true,
      onread: { buffer: readBuffer, callback: (length) => this.#onRead(readBuffer.subarray(0, length)) },
    });
    this.output = new Output(this.socket);
    for (const [event, listener] of Object.entries(this.#listeners)) this.socket.on(event, listener);
    // Without a listener of `data`, `end` comes only to a socket that flows.
    this.socket.resume();
  }

  /** Takes the most recently used idle connection of an endpoint that is still fit, or null. */
  static takeIdle(endpoint: LiveEndpoint, now: number): UpstreamConnection | null {
    for (;;) {
      const connection = endpoint.idle.pop() as UpstreamConnection | undefined;
      if (!connection) return null;
      if (connection.deadline > now && connection.socket.writable && connection.socket.readable) return connection;
      connection.destroy();
    }
  }

  /** From now on responses go to `sink`. The caller writes the request to `output` next. */
  begin(sink: ResponseSink): void {
    this.#sink = sink;
    this.deadline = 0;
  }

  /** Reads on after `onFlush` said false. */
  resume(): void {
    this.socket.resume();
  }

  /** Ends it at once and tells nobody. */
  destroy(): void {
    this.#sink = null;
    this.#connecting = null;
    this.socket.destroy();
  }

  /** Called by the sweep when `deadline` has passed. */
  expire(): void {
    if (this.#connecting) {
      this.#connected('timeout', 'it did not accept a connection in time');
      this.destroy();
    } else if (this.#sink) this.#break('timeout', '');
    else this.#drop();
  }

  #connected(failure: ConnectFailure | null, detail: string): void {
    const ready = this.#connecting;
    this.#connecting = null;
    if (!failure) this.deadline = 0;
    ready?.(failure, detail);
  }

  /** @param bytes valid until it returns */
  #onRead(bytes: Buffer): boolean {
    if (this.#left) return this.socket.push(Buffer.from(bytes));
    this.#onData(bytes);
    return true;
  }

  #onData(bytes: Buffer): void {
    try {
      let rest: Buffer | null = bytes;
      while (rest && this.#sink) rest = this.#body ? this.#readBody(this.#body, rest) : this.#readHead(rest);
      // Bytes that belong to no response: whatever comes next on this connection could not be trusted.
      if (rest && !this.#sink && !this.socket.destroyed) this.#drop();
    } catch (error) {
      this.#break('invalid', error instanceof Error ? error.message : String(error));
      return;
    }
    if (this.#sink && !this.#sink.onFlush()) this.socket.pause();
  }

  #readHead(bytes: Buffer): Buffer | null {
    const taken = this.#reader.take(bytes);
    if (!taken) return null;
    const head = parseResponseHead(taken.text);
    const sink = this.#sink!;
    const facts = responseFacts(head, sink.method);
    if (head.status === 101) {
      this.#leave();
      sink.onSwitch(head, facts, this.socket, taken.rest);
      return null;
    }
    if (head.status < 200) {
      sink.onInterim(head, facts);
      return taken.rest;
    }
    this.deadline = 0;
    this.#facts = facts;
    this.#body = new BodyDecoder(facts.framing);
    sink.onHead(head, facts);
    if (this.#body.done) this.#complete('', taken.rest === null);
    return taken.rest;
  }

  #readBody(body: BodyDecoder, bytes: Buffer): Buffer | null {
    const sink = this.#sink!;
    const used = body.decode(bytes, (content) => sink.onContent(content));
    const rest = used < bytes.length ? bytes.subarray(used) : null;
    if (body.done) this.#complete(body.trailers, rest === null);
    return rest;
  }

  /** The response is whole: the connection rests for the next request, or is closed where that would not be safe. */
  #complete(trailers: string, clean: boolean): void {
    const sink = this.#sink!;
    const facts = this.#facts!;
    this.#sink = this.#body = this.#facts = null;
    const { idle, retired } = this.endpoint;
    const reusable = clean && facts.keepAlive && sink.requestSent && !retired && this.socket.writable;
    if (reusable && idle.length < maxIdlePerEndpoint) {
      // One second less than it says, so that our request does not cross its FIN.
      const told = facts.keepAliveTimeout > 0 ? facts.keepAliveTimeout * 1000 - 1000 : defaultIdleMs;
      if (told > 0) {
        this.deadline = Date.now() + Math.min(told, maxIdleMs);
        if (this.socket.isPaused()) this.socket.resume();
        idle.push(this);
      } else this.#drop();
    } else this.#drop();
    sink.onEnd(trailers);
  }

  /** The socket goes to somebody else. */
  #leave(): void {
    this.#left = true;
    this.#sink = null;
    this.#all.delete(this);
    for (const [event, listener] of Object.entries(this.#listeners)) this.socket.off(event, listener);
  }

  #drop(): void {
    const at = this.endpoint.idle.indexOf(this);
    if (at !== -1) this.endpoint.idle.splice(at, 1);
    this.destroy();
  }

  #break(why: 'timeout' | 'invalid' | 'closed', detail: string): void {
    const sink = this.#sink;
    this.#drop();
    sink?.onBroken(why, detail);
  }

  #onEnd(): void {
    if (this.#sink && this.#body && !this.#body.done && this.#facts?.framing === untilClose) this.#complete('', true);
    else if (this.#sink) this.#break('closed', 'it closed the connection');
    else this.#drop();
  }

  #onError(error: Error): void {
    if (this.#connecting) this.#connected('refused', errnoOf(error) ?? error.message);
    else if (this.#sink) this.#break('closed', errnoOf(error) ?? error.message);
    else this.#drop();
  }

  #onClose(): void {
    this.#all.delete(this);
    if (this.#connecting) this.#connected('refused', 'it closed the connection');
    else if (this.#sink) this.#break('closed', 'it closed the connection');
    else this.#drop();
  }
}
