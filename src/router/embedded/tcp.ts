/** TCP routes: a listening port for each, joined to the instance with the fewest open connections. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { RouteTable } from '../../shared/contracts/routes.ts';
import { errnoOf } from '../../shared/errors.ts';
import { choose, type Endpoints, type LiveBackend, type LiveEndpoint } from './endpoints.ts';
import type { AppLimits } from './limits/app-limits.ts';
import type { Waiter, WaitingLine } from './limits/waiting-line.ts';
import { closing, listening } from './listening.ts';
import { tunnel } from './tunnel.ts';

interface Listener {
  server: Server;
  /** Where those go that came in here; '' for a route that is gone. */
  backend: string;
  /** Why it does not listen; null when it does. */
  problem: string | null;
}

const connectMs = 5_000;
const retryMs = 5_000;

export class TcpRoutes {
  readonly #address: string;
  readonly #endpoints: Endpoints;
  readonly #listeners = new Map<number, Listener>();
  readonly #sockets = new Set<Socket>();
  readonly #retry: NodeJS.Timeout;

  constructor(address: string, endpoints: Endpoints) {
    this.#address = address;
    this.#endpoints = endpoints;
    this.#retry = setInterval(() => void this.#retryFailed(), retryMs);
    this.#retry.unref();
  }

  /** Makes the listeners match the table; resolves when each listens or has a problem. Open connections stay. */
  async update(routes: RouteTable['tcp']): Promise<void> {
    const wanted = new Map(routes.map((route) => [route.port, route.backend]));
    for (const [port, listener] of this.#listeners) {
      if (wanted.has(port)) continue;
      listener.server.close();
      listener.backend = '';
      this.#listeners.delete(port);
    }
    const fresh: Promise<void>[] = [];
    for (const [port, backend] of wanted) {
      const known = this.#listeners.get(port);
      if (known) known.backend = backend;
      if (known?.problem === null) continue;
      fresh.push(this.#listen(port, backend));
    }
    await Promise.all(fresh);
  }

  /** For RouterStatus: ports that could not be bound, with the reason. */
  problems(): string[] {
    return [...this.#listeners.values()].flatMap(({ problem }) => problem ?? []);
  }

  /** Stops accepting, waits `graceMs` for open connections, then breaks them. */
  async close(graceMs: number): Promise<void> {
    clearInterval(this.#retry);
    const servers = [...this.#listeners.values()].filter(({ problem }) => problem === null);
    this.#listeners.clear();
    const end = setTimeout(() => this.breakOff(), graceMs);
    await Promise.all(servers.map(({ server }) => closing(server)));
    // Those of routes that are gone, too.
    await Promise.all([...this.#sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve))));
    clearTimeout(end);
  }

  /** Ends every connection. */
  breakOff(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async #retryFailed(): Promise<void> {
    const failed = [...this.#listeners].filter(([, listener]) => listener.problem !== null);
    await Promise.all(failed.map(([port, listener]) => this.#listen(port, listener.backend)));
  }

  async #listen(port: number, backend: string): Promise<void> {
    const options = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true, keepAlive: true };
    const server = createServer({ ...options, keepAliveInitialDelay: 30_000 }, (client) =>
      this.#accept(listener, client),
    );
    const listener: Listener = { server, backend, problem: 'not listening yet' };
    this.#listeners.set(port, listener);
    try {
      await listening(server, this.#address, port);
      listener.problem = null;
      if (this.#listeners.get(port) !== listener) server.close();
    } catch (error) {
      listener.problem = `TCP port ${port} on ${this.#address}: ${errnoOf(error) ?? String(error)}`;
    }
  }

  /** Who waits for room is a listener's also after it has closed. */
  #accept(listener: Listener, client: Socket): void {
    this.#sockets.add(client);
    client.on('close', () => this.#sockets.delete(client));
    client.on('error', () => undefined);
    new Arrival(client, () => this.#endpoints.backend(listener.backend)).attempt();
  }
}

/** A client's connection until it is joined to an instance; while that fails nothing was sent, so the next one is tried. */
class Arrival implements Waiter {
  choices: readonly LiveEndpoint[] = [];
  readonly #client: Socket;
  readonly #backend: () => LiveBackend | undefined;
  readonly #tried: LiveEndpoint[] = [];
  #line: WaitingLine | null = null;

  constructor(client: Socket, backend: () => LiveBackend | undefined) {
    this.#client = client;
    this.#backend = backend;
    client.once('close', () => this.#leaveLine());
  }

  attempt(): void {
    const backend = this.#backend();
    if (!backend || backend.limits?.maintenance || this.#client.destroyed) {
      this.expire();
      return;
    }
    const { limits } = backend;
    this.choices = backend.endpoints;
    const endpoint = choose(this.choices, this.#tried, Date.now(), limits?.concurrency);
    if (endpoint) this.#connect(endpoint, backend);
    else if (!limits?.line || !this.choices.some((other) => !this.#tried.includes(other))) this.expire();
    else this.#wait(limits, limits.line);
  }

  #wait(limits: AppLimits, line: WaitingLine): void {
    if (this.#line !== line) this.#leaveLine();
    if (line.enter(this, limits.capacity, limits.queueMs)) this.#line = line;
    else this.expire();
  }

  /** A reset says "nobody here", as a closed port would; an orderly end would look like an empty answer. */
  expire(): void {
    this.#leaveLine();
    if (!this.#client.destroyed) this.#client.resetAndDestroy();
  }

  #leaveLine(): void {
    this.#line?.leave(this);
    this.#line = null;
  }

  #connect(endpoint: LiveEndpoint, { outlier }: LiveBackend): void {
    this.#leaveLine();
    endpoint.open++;
    const { address: host, port } = endpoint;
    const upstream = connect({ host, port, allowHalfOpen: true, noDelay: true, keepAlive: true });
    upstream.setTimeout(connectMs, () => upstream.destroy());
    const failed = (): void => {
      endpoint.refused(this.choices, outlier, Date.now());
      this.#tried.push(endpoint);
      endpoint.left();
      this.attempt();
    };
    upstream.on('error', () => undefined);
    upstream.once('close', failed);
    upstream.once('connect', () => {
      upstream.setTimeout(0);
      upstream.off('close', failed);
      endpoint.failures = 0;
      tunnel(this.#client, upstream, () => endpoint.left());
    });
  }
}
