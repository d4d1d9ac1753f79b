/** WebSockets: agents' links and clients' sessions. Signed like any request; refused with an HTTP answer otherwise. */
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { asPaasError, PaasError } from '../shared/errors.ts';
import { authorise } from './api/define.ts';
import { authenticate, type ApiDeps } from './api/server.ts';
import type { Control } from './context.ts';

/** A log block is at most 256 KiB; a hello of a full host is the largest message. */
const maxPayload = 32 << 20;

export function acceptUpgrades(server: Server, control: Control, deps: Pick<ApiDeps, 'keys' | 'nonces' | 'tls'>): void {
  const sockets = new WebSocketServer({ noServer: true, maxPayload, perMessageDeflate: false });
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    accept(request, socket, head).catch((thrown: unknown) => {
      const error = asPaasError(thrown);
      if (error.code === 'internal') control.logger.error('an upgrade failed by a bug', thrown);
      refuse(socket, error);
    });
  });

  async function accept(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const url = request.url ?? '';
    const path = url.split('?')[0] ?? '';
    const session = /^\/v1\/sessions\/([A-Za-z0-9_-]{1,100})$/.exec(path)?.[1];
    if (path !== '/v1/agents/link' && session === undefined)
      throw new PaasError('not_found', `There is no WebSocket at ${path}.`);
    const principal = await authenticate(deps, { method: request.method ?? 'GET', url, headers: request.headers });
    authorise(principal, session === undefined ? 'agent' : 'developer');
    sockets.handleUpgrade(request, socket, head, (client) => {
      if (session === undefined && principal.hostId !== null) control.hub.attach(principal.hostId, client);
      else if (session !== undefined) {
        try {
          control.sessions.attach(session, principal.keyId, client);
        } catch (thrown) {
          client.close(4004, asPaasError(thrown).message.slice(0, 120));
        }
      }
    });
  }
}

function refuse(socket: Duplex, error: PaasError): void {
  const body = JSON.stringify({ error });
  const head = [
    `HTTP/1.1 ${error.http} Refused`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `Date: ${new Date().toUTCString()}`,
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}
