/** Clients and servers of HTTP/2, closed with their test. */
import {
  connect,
  createServer,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tcpServer, type TestServer } from './wire.ts';

export interface Http2Answer {
  status: number;
  headers: IncomingHttpHeaders & IncomingHttpStatusHeader;
  trailers: IncomingHttpHeaders;
  body: Buffer;
}

/** A connection, without TLS unless the URL says https. */
export async function http2Client(url: string, ca?: string, servername?: string): Promise<ClientHttp2Session> {
  const session = connect(url, { ...(ca && { ca }), ...(servername && { servername }) });
  await new Promise<void>((resolve, reject) =>
    session.once('connect', () => resolve()).once('error', (error: Error) => reject(error)),
  );
  session.on('error', () => undefined);
  return session;
}

/** What comes on a stream. Rejects when it is reset. */
export function answerOf(stream: ClientHttp2Stream): Promise<Http2Answer> {
  return new Promise((resolve, reject) => {
    const answer: Http2Answer = { status: 0, headers: {}, trailers: {}, body: Buffer.alloc(0) };
    const parts: Buffer[] = [];
    stream.on('response', (headers) => {
      answer.headers = headers;
      answer.status = headers[':status'] ?? 0;
    });
    stream.on('trailers', (trailers: IncomingHttpHeaders) => (answer.trailers = trailers));
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.on('error', reject);
    stream.on('close', () => {
      if (stream.rstCode === 0) resolve({ ...answer, body: Buffer.concat(parts) });
      else reject(new Error(`reset with ${stream.rstCode}`));
    });
  });
}

/** One request. */
export function ask(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body?: Buffer | string,
): Promise<Http2Answer> {
  const stream = session.request(headers, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  return answerOf(stream);
}

export interface TestHttp2Server {
  port: number;
  sessions: Set<ServerHttp2Session>;
  close(): Promise<void>;
}

/** A server that speaks HTTP/2 without TLS. */
export async function http2Server(
  onStream: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void,
  settings: { maxConcurrentStreams?: number } = {},
): Promise<TestHttp2Server> {
  const server = createServer({ settings });
  const sessions = new Set<ServerHttp2Session>();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
    session.on('error', () => undefined);
  });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    onStream(stream, headers);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    sessions,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const session of sessions) session.destroy();
      }),
  };
}

/**
 * A server of bytes that answers every request with this status, whatever HTTP thinks of it: node:http2 would not send it.
 * @param ended the answer is its head alone; else content follows
 */
export function http2StatusServer(status: string, ended: boolean): Promise<TestServer> {
  const frame = (type: number, flags: number, stream: number, payload = Buffer.alloc(0)): Buffer => {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head.writeUInt8(type, 3);
    head.writeUInt8(flags, 4);
    head.writeUInt32BE(stream, 5);
    return Buffer.concat([head, payload]);
  };
  const [data, headers, settings] = [0, 1, 4];
  const [endStream, ack, endHeaders] = [1, 1, 4];
  // RFC 7541: a literal field (6.2.2) whose name is the static table's 8th, `:status`.
  const block = Buffer.from(`\x08${String.fromCharCode(status.length)}${status}`, 'latin1');
  return tcpServer((socket) => {
    let bytes = Buffer.alloc(0);
    let preface = 24;
    socket.write(frame(settings, 0, 0));
    socket.on('data', (more) => {
      bytes = Buffer.concat([bytes, more]);
      for (;;) {
        const size = preface || (bytes.length < 9 ? Infinity : 9 + bytes.readUIntBE(0, 3));
        if (bytes.length < size) return;
        const taken = bytes.subarray(0, size);
        bytes = bytes.subarray(size);
        if (preface > 0) preface = 0;
        else if (taken[3] === settings && taken[4] !== ack) socket.write(frame(settings, ack, 0));
        else if (taken[3] === headers) {
          const stream = taken.readUInt32BE(5);
          socket.write(frame(headers, endHeaders | (ended ? endStream : 0), stream, block));
          if (!ended) socket.write(frame(data, endStream, stream, Buffer.from('body')));
        }
      }
    });
  });
}
