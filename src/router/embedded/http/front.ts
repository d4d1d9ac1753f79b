/** The HTTP side of the router: its listening socket, the connections on it and the sweep that holds their deadlines. */
import { createServer, type Server } from 'node:net';
import { closing, listening } from '../listening.ts';
import { ClientConnection } from './client.ts';
import type { TlsFront } from '../tls/front.ts';
import type { HttpContext } from './context.ts';

const sweepMs = 500;

export class HttpFront {
  readonly #context: HttpContext;
  readonly #server: Server;
  readonly #sweep: NodeJS.Timeout;
  readonly #tls: TlsFront;

  /** @param tls closed with it, since connections of both are the context's */
  constructor(context: HttpContext, tls: TlsFront) {
    this.#context = context;
    this.#tls = tls;
    this.#server = createServer(
      { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 },
      (socket) => new ClientConnection(socket, context),
    );
    // Behind what has come while this process itself was held up: it may be what is waited for.
    this.#sweep = setInterval(() => void setImmediate(() => this.#expire()), sweepMs);
    this.#sweep.unref();
  }

  /** @returns the port that was bound. @throws the system's error (EADDRINUSE, EACCES, …) */
  async listen(address: string, port: number): Promise<number> {
    await listening(this.#server, address, port);
    const bound = this.#server.address();
    return typeof bound === 'object' && bound ? bound.port : port;
  }

  /**
   * Stops accepting, lets requests and tunnels end for `graceMs`, then breaks what is left.
   * @param leaveIdle connections without a request stay until they have had one more, or have been idle for too long:
   *   closing them would hit requests that are on their way
   */
  async close(graceMs: number, leaveIdle = false): Promise<void> {
    const context = this.#context;
    context.stopping = leaveIdle ? 'drained' : 'now';
    const closed = Promise.all([closing(this.#server), this.#tls.close()]);
    if (!leaveIdle) for (const client of context.clients) client.stop();
    const end = setTimeout(() => this.breakOff(), graceMs);
    await closed;
    clearTimeout(end);
    clearInterval(this.#sweep);
    for (const upstream of context.upstreams) upstream.destroy();
  }

  /** Ends everything that is under way. */
  breakOff(): void {
    const { clients, upstreams, tunnels } = this.#context;
    this.#tls.breakOff();
    for (const client of clients) client.destroy();
    for (const upstream of upstreams) upstream.destroy();
    for (const socket of tunnels) socket.destroy();
  }

  #expire(): void {
    const now = Date.now();
    const { clients, upstreams, limits } = this.#context;
    for (const client of clients) {
      if (client.deadline !== 0 && client.deadline < now) client.expire();
      else if (client.stalledSince !== 0 && client.stalledSince + limits.stallMs < now) client.destroy();
    }
    for (const upstream of upstreams) if (upstream.deadline !== 0 && upstream.deadline < now) upstream.expire();
  }
}
