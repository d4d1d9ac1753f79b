/** The HTTP side of the router: its listening socket, the connections on it and the sweep that holds their deadlines. */
import { createServer, type Server } from 'node:net';
import { listening } from '../listening.ts';
import { ClientConnection } from './client.ts';
import type { HttpContext } from './context.ts';

const sweepMs = 500;

export class HttpFront {
  readonly #context: HttpContext;
  readonly #server: Server;
  readonly #sweep: NodeJS.Timeout;

  constructor(context: HttpContext) {
    this.#context = context;
    this.#server = createServer(
      { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 },
      (socket) => new ClientConnection(socket, context),
    );
    this.#sweep = setInterval(() => this.#expire(), sweepMs);
    this.#sweep.unref();
  }

  /** @returns the port that was bound. @throws the system's error (EADDRINUSE, EACCES, …) */
  async listen(address: string, port: number): Promise<number> {
    await listening(this.#server, address, port);
    const bound = this.#server.address();
    return typeof bound === 'object' && bound ? bound.port : port;
  }

  /** Stops accepting, lets requests and tunnels end for `graceMs`, then breaks what is left. */
  async close(graceMs: number): Promise<void> {
    const context = this.#context;
    context.stopping = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const client of context.clients) client.stop();
    const end = setTimeout(() => {
      for (const client of context.clients) client.socket.destroy();
      for (const upstream of context.upstreams) upstream.destroy();
      for (const socket of context.tunnels) socket.destroy();
    }, graceMs);
    await closed;
    clearTimeout(end);
    clearInterval(this.#sweep);
    for (const upstream of context.upstreams) upstream.destroy();
  }

  #expire(): void {
    const now = Date.now();
    const { clients, upstreams, limits } = this.#context;
    for (const client of clients) {
      if (client.deadline !== 0 && client.deadline < now) client.expire();
      else if (client.stalledSince !== 0 && client.stalledSince + limits.stallMs < now) client.socket.destroy();
    }
    for (const upstream of upstreams) if (upstream.deadline !== 0 && upstream.deadline < now) upstream.expire();
  }
}
