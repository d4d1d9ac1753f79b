/** A real HTTP server that checks signatures as the control plane does, for tests of the client. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { asPaasError } from '../../../../src/shared/errors.ts';
import { checkContentDigest, createMemoryNonceStore, verifyRequest } from '../../../../src/shared/signing/index.ts';
import { freePort } from '../../../support/wire.ts';

export interface Seen {
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
  body: string;
}

type Handler = (seen: Seen, response: ServerResponse) => void;

export interface FakePlatform {
  url: string;
  port: number;
  server: Server;
  seen: Seen[];
  /** Replaces what answers from now on. */
  handle: (handler: Handler) => void;
  stop(): Promise<void>;
}

export const credentials = { keyId: 'key_test', keySecret: 'a secret of the test' };

/**
 * @param port that of one before, which comes back; default: one that nobody else gets while the platform is away
 * @param now the server's clock, in milliseconds
 */
export async function startPlatform(handler: Handler, port?: number, now?: () => number): Promise<FakePlatform> {
  const nonces = createMemoryNonceStore();
  const seen: Seen[] = [];
  const sockets = new Set<Socket>();
  let current = handler;
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const { method = '', url = '', headers } = request;
    response.setHeader('Paas-Version', '9.9.9');
    await verifyRequest(
      { method, url, headers },
      {
        lookup: (keyId) => (keyId === credentials.keyId ? credentials.keySecret : null),
        nonces,
        ...(now ? { now: now() } : {}),
      },
    );
    if (body.length > 0) checkContentDigest(headers, createHash('sha256').update(body).digest());
    const one = { method, url, headers, body: body.toString() };
    seen.push(one);
    current(one, response);
  };
  const server = createServer((request, response) => {
    answer(request, response).catch((thrown: unknown) => {
      const error = asPaasError(thrown);
      response.writeHead(error.http, { 'Content-Type': 'application/json' }).end(JSON.stringify({ error }));
    });
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await once(server.listen(port ?? (await freePort()), '127.0.0.1'), 'listening');
  const actual = (server.address() as AddressInfo).port;
  return {
    url: `http://127.0.0.1:${actual}`,
    port: actual,
    server,
    seen,
    handle: (next) => (current = next),
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      if (server.listening) await new Promise((resolve) => server.close(resolve));
    },
  };
}

export const json =
  (value: unknown, status = 200): Handler =>
  (_seen, response) => {
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
  };

/** Breaks the connection instead of answering. */
export const hangUp: Handler = (_seen, response) => {
  response.destroy();
};
