/** A stream that a client opened: one request and its response, for an exchange. */
import { constants, type ServerHttp2Stream } from 'node:http2';
import { problemResponse, problems } from '../../pages.ts';
import type { HttpContext } from '../http/context.ts';
import type { Client, HeldClient } from '../http/ends.ts';
import { Exchange } from '../http/exchange.ts';
import { HttpError, parseRequestHead } from '../http/grammar.ts';
import type { Hop } from '../http/request-fields.ts';
import { fieldLines, headerList, requestText, type RawHeaders } from './fields.ts';
import { StreamOutput, type StreamWriter } from './output.ts';

const { NGHTTP2_NO_ERROR, NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR } = constants;

export class StreamClient implements Client, HeldClient, StreamWriter {
  readonly hop: Hop;
  readonly output: StreamOutput = new StreamOutput(this);
  deadline = 0;
  stalledSince = 0;
  whole = false;
  readonly #stream: ServerHttp2Stream;
  readonly #context: HttpContext;
  #exchange: Exchange | null = null;
  /** The whole request has come. */
  #received: boolean;
  #trailers = '';

  /** @param ended the request has no body */
  constructor(stream: ServerHttp2Stream, ended: boolean, hop: Hop, context: HttpContext) {
    this.#stream = stream;
    this.#received = ended;
    this.#context = context;
    this.hop = hop;
    context.clients.add(this);
    stream.on('drain', () => this.#onDrain());
    // 'close' follows and does what there is to do.
    stream.on('error', () => undefined);
    stream.on('close', () => this.#onClose());
  }

  /** Reads the head and begins. */
  start(raw: RawHeaders): void {
    try {
      this.#exchange = new Exchange(this, this.#context, parseRequestHead(requestText(raw, this.#received)));
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      const problem = problems.badRequest(error.status, error.message);
      this.output.text(problemResponse(problem, { accept: '', body: true, close: true, requestId: '' }));
      this.finish();
      return;
    }
    this.#exchange.start();
  }

  open(start: string, lines: string, end: boolean): ServerHttp2Stream | null {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return null;
    const told = Number(start.slice(9, 12));
    // RFC 9110, 15: such a one is read as 5xx, and node:http2 sends none.
    const status = told > 599 ? 500 : told;
    const { headers, chunked } = headerList(lines);
    if (status < 200) stream.additionalHeaders({ ':status': status, ...headers });
    else stream.respond({ ':status': status, ...headers }, { endStream: end, waitForTrailers: chunked && !end });
    return stream;
  }

  startBody(): void {
    const stream = this.#stream;
    this.#await();
    stream.on('data', (content: Buffer) => this.#onData(content));
    stream.on('trailers', (_headers, _flags, raw?: RawHeaders) => this.#onTrailers(raw ?? []));
    stream.on('end', () => this.#onEnd());
  }

  resumeBody(): void {
    if (this.#received) return;
    this.#await();
    this.#stream.resume();
  }

  flushResponse(): boolean {
    const flowing = this.output.flush();
    if (!flowing && this.stalledSince === 0) this.stalledSince = Date.now();
    return flowing;
  }

  finish(): void {
    this.#exchange = null;
    this.deadline = 0;
    this.whole = true;
    this.flushResponse();
    // Little is left to send, and yet a client that opens no window could hold it, and its connection, for ever.
    if (this.stalledSince === 0) this.stalledSince = Date.now();
    if (this.#received) return;
    // RFC 9113, 8.1: the answer is whole, the rest of the request is not wanted. It leaves after the answer's last byte.
    this.#stream.resume();
    this.#stream.close(NGHTTP2_NO_ERROR);
  }

  reset(): void {
    this.#exchange = null;
    this.#stream.close(NGHTTP2_INTERNAL_ERROR);
  }

  detach(): never {
    throw new Error('a stream of HTTP/2 cannot leave its connection');
  }

  /** The connection is told when the router stops; its streams go on. */
  stop(): void {
    // Nothing to do.
  }

  expire(): void {
    this.deadline = 0;
    this.#exchange?.onRequestTimeout();
  }

  destroy(): void {
    this.#stream.close(NGHTTP2_CANCEL);
  }

  #await(): void {
    this.deadline = Date.now() + this.#context.limits.bodyMs;
  }

  #onData(content: Buffer): void {
    const exchange = this.#exchange;
    if (!exchange) return;
    exchange.onRequestContent(content);
    this.#await();
    if (exchange.flushRequest()) return;
    this.deadline = 0;
    this.#stream.pause();
  }

  #onTrailers(raw: RawHeaders): void {
    try {
      this.#trailers = fieldLines(raw);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.#exchange?.onRequestInvalid(error);
    }
  }

  #onEnd(): void {
    this.#received = true;
    this.deadline = 0;
    const exchange = this.#exchange;
    if (!exchange || this.#stream.aborted) return;
    exchange.onRequestEnd(this.#trailers);
    exchange.flushRequest();
  }

  #onDrain(): void {
    if (!this.whole) this.stalledSince = 0;
    this.#exchange?.onClientDrain();
  }

  #onClose(): void {
    this.#context.clients.delete(this);
    const exchange = this.#exchange;
    this.#exchange = null;
    exchange?.onClientGone();
  }
}
