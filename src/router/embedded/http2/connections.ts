/** Connections of clients that speak HTTP/2. */
import {
  constants,
  createServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from 'node:http2';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { HttpContext } from '../http/context.ts';
import type { HeldClient } from '../http/ends.ts';
import type { Hop } from '../http/request-fields.ts';
import { StreamClient } from './client.ts';
import type { RawHeaders } from './fields.ts';

const streams = 128;
const streamWindow = 256 * 1024;

const options: ServerOptions = {
  settings: {
    // As nginx has it: enough for a browser's page, and a bound for what one connection can ask at a time.
    maxConcurrentStreams: streams,
    // A connection of 100 ms and 20 Mbit/s can be filled by one upload.
    initialWindowSize: streamWindow,
    maxHeaderListSize: 32 * 1024,
    enablePush: false,
  },
  // Against floods: a connection ends that sends many fields, settings, pings, malformed frames or refused streams.
  maxHeaderListPairs: 256,
  maxSettings: 32,
  maxOutstandingPings: 10,
  maxSessionInvalidFrames: 100,
  // MB of heads and of answers not yet taken.
  maxSessionMemory: 32,
};

/**
 * Streams that a client may reset at a time, and per second: each costs a request at an instance, and the limit of
 * streams at a time does not bound it ("rapid reset", CVE-2023-44487). A page that is left cancels a hundred pictures.
 */
const resetBurst = 500;
const resetsPerSecond = 50;

export class Http2Connections {
  readonly #server: Http2Server;
  readonly #context: HttpContext;

  constructor(context: HttpContext) {
    // Never listens: it is given sockets that others accepted.
    this.#server = createServer(options);
    this.#context = context;
    // Each session has its own listener.
    this.#server.on('sessionError', () => undefined);
  }

  /** Takes over a socket whose client begins with HTTP/2's preface; that may be in the socket already (`unshift`). */
  accept(socket: Socket): void {
    this.#server.once('session', (session) => new Connection(session, socket, this.#context));
    // Makes the session, and tells of it before it returns.
    this.#server.emit('connection', socket);
  }
}

class Connection implements HeldClient {
  deadline: number;
  /** Since when its last bytes wait to leave; 0: they do not. */
  stalledSince = 0;
  readonly #session: ServerHttp2Session;
  readonly #socket: Socket;
  readonly #context: HttpContext;
  readonly #hop: Hop;
  #open = 0;
  #closing = false;
  #resets = resetBurst;
  #countedAt = Date.now();

  constructor(session: ServerHttp2Session, socket: Socket, context: HttpContext) {
    const { remoteAddress = '', localPort = 0 } = socket;
    const address = remoteAddress.replace(/^::ffff:/, '');
    this.#hop = {
      address,
      port: localPort,
      secure: socket instanceof TLSSocket,
      trusted: context.isTrusted(address),
    };
    this.#session = session;
    this.#socket = socket;
    this.#context = context;
    this.deadline = Date.now() + context.limits.headMs;
    context.clients.add(this);
    // A stream that does not read must not hold the others back: the connection's window takes what all streams' do.
    session.setLocalWindowSize(streams * streamWindow);
    session.on('stream', (stream, _headers, flags, raw?: RawHeaders) => this.#onStream(stream, flags, raw ?? []));
    // 'close' follows.
    session.on('error', () => undefined);
    if (context.stopping === 'now') this.stop();
    // Later than the session's end: a client may be slow to close its side.
    socket.once('close', () => context.clients.delete(this));
  }

  /** GOAWAY: streams under way go on, new ones belong on another connection. */
  stop(): void {
    this.#closing = true;
    this.#session.close();
    if (this.#open === 0) this.#linger();
  }

  expire(): void {
    if (this.#closing) this.destroy();
    else this.stop();
  }

  destroy(): void {
    this.#session.destroy();
    this.#socket.destroy();
  }

  #onStream(stream: ServerHttp2Stream, flags: number, raw: RawHeaders): void {
    this.#open++;
    this.deadline = 0;
    stream.once('aborted', () => this.#countReset());
    stream.once('close', () => this.#onStreamClosed());
    const ended = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    new StreamClient(stream, ended, this.#hop, this.#context).start(raw);
    // Behind another process that took over: as connections of HTTP/1.1, it has had one more request.
    if (this.#context.stopping && !this.#closing) this.stop();
  }

  #onStreamClosed(): void {
    if (--this.#open > 0) return;
    if (this.#closing) this.#linger();
    else this.deadline = Date.now() + this.#context.limits.idleMs;
  }

  /** Waits for the client to end its side, once the answers have left. */
  #linger(): void {
    this.deadline = 0;
    this.stalledSince = Date.now();
    const left = (): void => {
      this.stalledSince = 0;
      this.deadline = Date.now() + this.#context.limits.lingerMs;
    };
    if (this.#socket.writableFinished) left();
    else this.#socket.once('finish', left);
  }

  #countReset(): void {
    const now = Date.now();
    this.#resets = Math.min(resetBurst, this.#resets + ((now - this.#countedAt) / 1000) * resetsPerSecond);
    this.#countedAt = now;
    if (--this.#resets >= 0) return;
    this.#session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    this.destroy();
  }
}
