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
