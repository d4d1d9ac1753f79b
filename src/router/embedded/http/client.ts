/**
 * One connection of a client: reads requests one after the other (pipelined ones wait), and hands each to an exchange.
 *
 *   reading head ──► exchange ──► reading head … (keep-alive)
 *        │              ├──► tunnel (Upgrade: the socket leaves)
 *        └─ refused ────┴──► lingering ──► closed
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { problemResponse, problems, type Problem } from '../../pages.ts';
import { BodyDecoder, type Framing } from './body.ts';
import type { HttpContext } from './context.ts';
import type { Client, HeldClient } from './ends.ts';
import { Exchange } from './exchange.ts';
import { HeadReader, HttpError, parseRequestHead } from './grammar.ts';
import { Output } from './output.ts';
import type { Hop } from './request-fields.ts';

/** Bytes of later requests that are held while one is under way. */
const maxPending = 64 * 1024;

/** RFC 9113, 3.4: begins a connection of HTTP/2; without TLS the client just knows that it may (3.3). With TLS ALPN says so. */
const http2Preface = 'PRI * HTTP/2.0\r\n';

export class ClientConnection implements Client, HeldClient {
  readonly socket: Socket;
  readonly output: Output;
  readonly hop: Hop;
  /** When it has waited too long (ms since the epoch); 0: it waits for nothing. Held by a sweep. */
  deadline: number;
  /** Since when the client takes nothing of its response; 0: it does. */
  stalledSince = 0;
  readonly #context: HttpContext;
  readonly #reader = new HeadReader();
  #exchange: Exchange | null = null;
  #body: BodyDecoder | null = null;
  #pending: Buffer | null = null;
  #lingering = false;
  readonly #listeners = {
    data: (bytes: Buffer): void => this.#onData(bytes),
    drain: (): void => this.#onDrain(),
    end: (): void => this.#onEnd(),
    // 'close' follows and does what there is to do.
    error: (): void => undefined,
    close: (): void => this.#onClose(),
  };

  constructor(socket: Socket, context: HttpContext) {
    this.socket = socket;
    this.output = new Output(socket);
    this.#context = context;
    const address = (socket.remoteAddress ?? '').replace(/^::ffff:/, '');
    const secure = socket instanceof TLSSocket;
    this.hop = { address, port: socket.localPort ?? 0, secure, trusted: context.isTrusted(address) };
    this.deadline = Date.now() + context.limits.headMs;
    context.clients.add(this);
    for (const [event, listener] of Object.entries(this.#listeners)) socket.on(event, listener);
  }

  /** For the exchange: give the body of the request out now, to `onRequestContent` and `onRequestEnd`. */
  startBody(framing: Framing): void {
    this.#body = new BodyDecoder(framing);
    this.deadline = Date.now() + this.#context.limits.bodyMs;
    const pending = this.#takePending();
    this.socket.resume();
    if (pending) this.#readBody(this.#body, pending);
  }

  /** For the exchange: the instance takes more of the body. */
  resumeBody(): void {
    if (!this.#body) return;
    this.deadline = Date.now() + this.#context.limits.bodyMs;
    this.socket.resume();
  }

  /** For the exchange: a piece of the response is written. False: the client takes no more for now. */
  flushResponse(): boolean {
    const flowing = this.output.flush();
    if (!flowing && this.stalledSince === 0) this.stalledSince = Date.now();
    return flowing;
  }

  /** For the exchange: the response is written. */
  finish(keepAlive: boolean): void {
    this.#exchange = null;
    const whole = this.#body === null;
    this.#body = null;
    this.output.flush();
    if (!keepAlive || !whole || this.#context.stopping === 'now') {
      this.#linger();
      return;
    }
    if (this.socket.writableLength === 0) this.#rest();
    else this.#restWhenTaken();
    // Not at once: a thousand pipelined requests for an error page would otherwise be as many nested calls.
    if (this.#pending) setImmediate(() => this.#next());
  }

  /** For the exchange: the response broke off in the middle; a reset tells the client that it is not whole. */
  reset(): void {
    this.#exchange = null;
    // With TLS the missing close_notify says the same.
    if (this.hop.secure) this.socket.destroy();
    else this.socket.resetAndDestroy();
  }

  destroy(): void {
    this.socket.destroy();
  }

  /** For the exchange: the socket leaves HTTP. Gives the bytes that the client sent behind its request, too. */
  detach(): { socket: Socket; early: Buffer | null } {
    this.#exchange = null;
    this.deadline = 0;
    this.#context.clients.delete(this);
    for (const [event, listener] of Object.entries(this.#listeners)) this.socket.off(event, listener);
    return { socket: this.socket, early: this.#takePending() };
  }

  /** The router stops: ends the connection now, or with the response under way. */
  stop(): void {
    if (!this.#exchange && !this.#reader.begun && !this.#lingering) this.socket.destroySoon();
  }

  /** Called by the sweep when `deadline` has passed. */
  expire(): void {
    this.deadline = 0;
    if (this.#lingering) this.socket.destroy();
    else if (this.#exchange) this.#exchange.onRequestTimeout();
    else if (this.#reader.begun) this.#refuse(problems.requestTimeout());
    else this.#linger();
  }

  #onData(bytes: Buffer): void {
    if (this.#lingering) return;
    if (this.#body) this.#readBody(this.#body, bytes);
    else if (this.#exchange || this.#pending) this.#hold(bytes);
    else this.#readHead(bytes);
  }

  #hold(bytes: Buffer): void {
    this.#pending = this.#pending ? Buffer.concat([this.#pending, bytes]) : bytes;
    if (this.#pending.length > maxPending) this.socket.pause();
  }

  #takePending(): Buffer | null {
    const pending = this.#pending;
    this.#pending = null;
    return pending;
  }

  #next(): void {
    if (this.socket.destroyed || this.#exchange || this.#lingering) return;
    this.socket.resume();
    const pending = this.#takePending();
    if (pending) this.#readHead(pending);
  }

  #readHead(bytes: Buffer): void {
    try {
      if (!this.#reader.begun) {
        this.deadline = Date.now() + this.#context.limits.headMs;
        // RFC 9112, 2.2: an empty line before a request is ignored.
        let start = 0;
        while (start < bytes.length && (bytes[start] === 13 || bytes[start] === 10)) start++;
        if (start === bytes.length) return;
        if (start > 0) bytes = bytes.subarray(start);
      }
      const taken = this.#reader.take(bytes);
      if (!taken) return;
      this.deadline = 0;
      this.#pending = taken.rest;
      if (taken.text === http2Preface && !this.hop.secure) {
        this.#toHttp2();
        return;
      }
      const head = parseRequestHead(taken.text);
      this.#exchange = new Exchange(this, this.#context, head);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.#refuse(problems.badRequest(error.status, error.message));
      return;
    }
    this.#exchange.start();
  }

  /** HTTP/2 by prior knowledge: the socket, with all that was read of it, belongs to who speaks that. */
  #toHttp2(): void {
    const { socket, early } = this.detach();
    socket.pause();
    socket.unshift(Buffer.concat([Buffer.from(`${http2Preface}\r\n`), early ?? Buffer.alloc(0)]));
    this.#context.acceptHttp2(socket);
  }

  #readBody(body: BodyDecoder, bytes: Buffer): void {
    const exchange = this.#exchange;
    if (!exchange) return;
    try {
      const used = body.decode(bytes, (content) => exchange.onRequestContent(content));
      // The exchange may have ended while it was given content.
      if (this.#exchange !== exchange) return;
      if (used < bytes.length) this.#hold(bytes.subarray(used));
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      exchange.onRequestInvalid(error);
      return;
    }
    if (body.done) {
      this.#body = null;
      this.deadline = 0;
      exchange.onRequestEnd(body.trailers);
    } else this.deadline = Date.now() + this.#context.limits.bodyMs;
    if (exchange.flushRequest() || !this.#body) return;
    this.deadline = 0;
    this.socket.pause();
  }

  /** Answers a request that cannot be read, and closes: where the next one would begin is not known. */
  #refuse(problem: Problem): void {
    this.output.text(problemResponse(problem, { accept: '', body: true, close: true, requestId: '' }));
    this.output.flush();
    this.#linger();
  }

  /**
   * Ends our side, and waits for the client's: a close with unread bytes would be a reset that eats the response. Its time
   * begins when the response has left: a slow client may take longer for that.
   */
  #linger(): void {
    this.#lingering = true;
    this.#pending = null;
    this.deadline = 0;
    this.stalledSince = Date.now();
    this.socket.end(() => {
      this.stalledSince = 0;
      this.deadline = Date.now() + this.#context.limits.lingerMs;
    });
    this.socket.resume();
  }

  /** Between two requests. */
  #rest(): void {
    if (this.#exchange || this.#reader.begun || this.#lingering) return;
    this.deadline = Date.now() + this.#context.limits.idleMs;
  }

  /** Its time between requests begins when the response has left; until then it has as long as in the middle of one. */
  #restWhenTaken(): void {
    this.deadline = 0;
    this.stalledSince = Date.now();
    // Comes behind what waits already.
    this.socket.write('', () => {
      this.stalledSince = 0;
      this.#rest();
    });
  }

  #onDrain(): void {
    this.stalledSince = 0;
    this.#exchange?.onClientDrain();
  }

  /** The client is gone, or will at least not ask again; as nginx, Go and Node do, its request ends with it. */
  #onEnd(): void {
    if (this.#exchange) this.socket.destroy();
    else this.socket.end();
  }

  #onClose(): void {
    this.#context.clients.delete(this);
    const exchange = this.#exchange;
    this.#exchange = null;
    exchange?.onClientGone();
  }
}
