/** One request to an instance that speaks HTTP/2, as a stream of a connection that others share. */
import { STATUS_CODES } from 'node:http';
import { constants, type ClientHttp2Stream } from 'node:http2';
import type { LiveEndpoint } from '../endpoints.ts';
import type { HeldUpstream, Upstream } from '../http/ends.ts';
import { HttpError, type ResponseHead } from '../http/grammar.ts';
import { hasNoBody, responseFacts } from '../http/response-fields.ts';
import type { ResponseSink } from '../http/upstream.ts';
import { unexpected } from '../unexpected.ts';
import { fieldLines, headerList, responseFields, type RawHeaders } from './fields.ts';
import { Http2Link, type Ready } from './link.ts';
import { StreamOutput, type StreamWriter } from './output.ts';

const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM, NGHTTP2_FLAG_END_STREAM } = constants;

export class StreamUpstream implements Upstream, HeldUpstream, StreamWriter {
  deadline = 0;
  readonly output: StreamOutput = new StreamOutput(this);
  readonly #link: Http2Link;
  readonly #all: Set<HeldUpstream>;
  readonly #ready: Ready;
  #sink: ResponseSink | null = null;
  #stream: ClientHttp2Stream | null = null;
  #left = false;
  #headSeen = false;
  #trailers = '';
  #error = '';

  /**
   * Takes a place on a connection, on a new one where none has room.
   * @param all where it enrols for the sweep while it lives
   * @param ready called once when the connection is there or failed; never where it is there at once (`takeIdle`)
   */
  constructor(endpoint: LiveEndpoint, all: Set<HeldUpstream>, deadline: number, ready: Ready) {
    this.#link = Http2Link.of(endpoint) ?? new Http2Link(endpoint, all, deadline);
    this.#all = all;
    this.#ready = (failure, detail) => {
      if (failure) this.#leave();
      ready(failure, detail);
    };
    this.#link.enter(this.#ready);
    all.add(this);
  }

  /** A place on a connection that is there; null where there is none with room. */
  static takeIdle(endpoint: LiveEndpoint): StreamUpstream | null {
    const link = Http2Link.of(endpoint);
    return link?.ready ? new StreamUpstream(endpoint, link.all, 0, () => undefined) : null;
  }

  get whole(): boolean {
    return this.#sink?.requestSent ?? false;
  }

  begin(sink: ResponseSink): void {
    this.#sink = sink;
    this.deadline = 0;
  }

  open(start: string, lines: string, end: boolean): ClientHttp2Stream | null {
    const { session } = this.#link;
    if (session.closed || session.destroyed) {
      // Not at once: the exchange is in the middle of writing.
      setImmediate(() => this.#fail(true, this.#link.detail));
      return null;
    }
    const [method = '', path = ''] = start.split(' ');
    const { headers, chunked, host } = headerList(lines);
    const pseudo = { ':method': method, ':scheme': 'http', ':authority': host, ':path': path };
    const stream = session.request({ ...pseudo, ...headers }, { endStream: end, waitForTrailers: chunked && !end });
    this.#stream = stream;
    const on = (event: string, act: (raw: RawHeaders, flags: number) => void): void => {
      stream.on(event, (_headers: unknown, flags: number, raw: RawHeaders) => this.#reading(() => act(raw, flags)));
    };
    on('headers', (raw) => this.#sink?.onInterim(...this.#headOf(raw, true)));
    on('response', (raw, flags) => this.#onResponse(raw, (flags & NGHTTP2_FLAG_END_STREAM) !== 0));
    on('trailers', (raw) => (this.#trailers = fieldLines(raw)));
    stream.on('data', (content: Buffer) => this.#reading(() => this.#onData(content)));
    stream.on('end', () => this.#reading(() => this.#onEnd()));
    stream.on('drain', () => this.#sink?.onDrain());
    stream.on('error', (error: Error) => (this.#error = error.message));
    stream.on('close', () => this.#onClose());
    return stream;
  }

  resume(): void {
    this.#stream?.resume();
  }

  /** Ends it at once and tells nobody; the instance learns that the request is given up. */
  destroy(): void {
    this.#sink = null;
    this.#leave();
    this.#stream?.close(NGHTTP2_CANCEL);
  }

  expire(): void {
    this.deadline = 0;
    const sink = this.#sink;
    this.destroy();
    // It may be that nothing comes through any more: others get another connection.
    this.#link.close();
    sink?.onBroken('timeout', '');
  }

  /** Runs what reads something of the instance's: whatever it sends costs no more than its own request. */
  #reading(act: () => void): void {
    const sink = this.#sink;
    try {
      act();
    } catch (error) {
      if (!(error instanceof HttpError)) unexpected('an answer of HTTP/2', error);
      this.destroy();
      sink?.onBroken('invalid', error instanceof Error ? error.message : String(error));
    }
  }

  #headOf(raw: RawHeaders, ended: boolean): [ResponseHead, ReturnType<typeof responseFacts>] {
    const text = raw[raw.indexOf(':status') + 1] ?? '';
    // nghttp2 takes any three digits but 101.
    if (!statusForm.test(text)) throw new HttpError(502, 'its status is malformed');
    const status = Number(text);
    const method = this.#sink?.method ?? '';
    const fields = status < 200 ? fieldLines(raw) : responseFields(raw, ended, hasNoBody(status, method));
    const head: ResponseHead = { status, reason: STATUS_CODES[status] ?? '', minor: 1, fields };
    return [head, responseFacts(head, method)];
  }

  #onResponse(raw: RawHeaders, ended: boolean): void {
    const sink = this.#sink;
    if (!sink) return;
    this.deadline = 0;
    this.#headSeen = true;
    sink.onHead(...this.#headOf(raw, ended));
    // What ended with its head is written with its end.
    if (!ended) this.#flush();
  }

  #onData(content: Buffer): void {
    this.#sink?.onContent(content);
    this.#flush();
  }

  #flush(): void {
    if (this.#sink && !this.#sink.onFlush()) this.#stream?.pause();
  }

  #onEnd(): void {
    const sink = this.#sink;
    // A stream that is reset ends, too; 'close' says so.
    if (!sink || !this.#headSeen || this.#stream?.aborted || (this.#stream?.rstCode ?? 0) !== NGHTTP2_NO_ERROR) return;
    this.#sink = null;
    this.#leave();
    if (!sink.requestSent) this.#stream?.close(NGHTTP2_CANCEL);
    sink.onEnd(this.#trailers);
  }

  #onClose(): void {
    this.#leave();
    const code = this.#stream?.rstCode ?? NGHTTP2_NO_ERROR;
    const reset = code === NGHTTP2_NO_ERROR ? '' : `it reset the stream (${errorNames[code] ?? String(code)})`;
    this.#fail(code === NGHTTP2_REFUSED_STREAM, reset || this.#error || this.#link.detail);
  }

  #fail(unprocessed: boolean, detail: string): void {
    const sink = this.#sink;
    this.#sink = null;
    this.#leave();
    if (unprocessed && !this.#headSeen) sink?.onUnprocessed(detail);
    else sink?.onBroken('closed', detail);
  }

  /** Gives its place on the connection back. */
  #leave(): void {
    if (this.#left) return;
    this.#left = true;
    this.#all.delete(this);
    this.#link.leave(this.#ready);
  }
}

const statusForm = /^[1-9][0-9]{2}$/;

/** RFC 9113, 7. */
const errorNames = [
  'NO_ERROR', 'PROTOCOL_ERROR', 'INTERNAL_ERROR', 'FLOW_CONTROL_ERROR', 'SETTINGS_TIMEOUT', 'STREAM_CLOSED',
  'FRAME_SIZE_ERROR', 'REFUSED_STREAM', 'CANCEL', 'COMPRESSION_ERROR', 'CONNECT_ERROR', 'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY', 'HTTP_1_1_REQUIRED',
]; // prettier-ignore
