/** The router process put together: HTTP front, TCP routes, control socket, table on disk, access log. */
import { BlockList, isIP, isIPv6 } from 'node:net';
import type { Server } from 'node:http';
import type { RouterStatus } from '../../shared/contracts/routes.ts';
import { errnoOf, PaasError } from '../../shared/errors.ts';
import { replaceDurably } from '../../shared/files.ts';
import { listenError, urlHost } from '../addresses.ts';
import { match, type RouteIndex } from '../table.ts';
import { AccessLogs } from './access-logs.ts';
import { startAdmin } from './admin.ts';
import type { Predecessor } from './handover.ts';
import { Endpoints } from './endpoints.ts';
import { defaultLimits, type HttpContext } from './http/context.ts';
import { HttpFront } from './http/front.ts';
import { Http2Connections } from './http2/connections.ts';
import { routerFiles } from './layout.ts';
import type { RouterOptions } from './options.ts';
import { Regions } from './regions.ts';
import { inSlices } from './slices.ts';
import { loadTable, readTable, type Loaded } from './table-file.ts';
import { TcpRoutes } from './tcp.ts';
import type { CertificateSet } from './tls/certificates.ts';
import { TlsFront } from './tls/front.ts';

const sweepMs = 60_000;

export class RouterServer {
  readonly #options: RouterOptions;
  readonly #regions = new Regions();
  readonly #endpoints = new Endpoints(this.#regions.of);
  readonly #context: HttpContext;
  readonly #front: HttpFront;
  readonly #tcp: TcpRoutes;
  readonly #tls: TlsFront;
  readonly #accessLogs: AccessLogs;
  readonly #tablePath: string;
  readonly #socketPath: string;
  #index: RouteIndex = { exact: new Map(), wildcard: new Map() };
  #version = 0;
  /** What the status says beside the ports that are taken; the next table that is taken up and saved ends it. */
  problem: string | null = null;
  #admin: Server | null = null;
  /** Another process took over: tables that still wait for their turn are its business. */
  #deposed = false;
  #applying: Promise<unknown> = Promise.resolve();
  readonly #sweep = setInterval(() => this.#endpoints.sweep(), sweepMs).unref();
  port = 0;
  /** The process before this one, as long as it has connections (handover.ts). */
  before: Pick<Predecessor, 'open' | 'reload' | 'stop' | 'gone'> | null = null;

  constructor(options: RouterOptions) {
    const files = routerFiles(options.directory);
    const trusted = trustList(options.trustedProxies);
    this.#options = options;
    this.#tablePath = files.table;
    this.#socketPath = files.socket;
    this.#accessLogs = new AccessLogs(files.accessLogs);
    this.#context = {
      limits: { ...defaultLimits, ...(options.responseTimeoutMs && { responseMs: options.responseTimeoutMs }) },
      clients: new Set(),
      upstreams: new Set(),
      tunnels: new Set(),
      stopping: false,
      version: () => this.#version,
      route: (host, path) => match(this.#index, host, path),
      backend: (key) => this.#endpoints.backend(key) ?? null,
      challenges: null,
      isTrusted: (address) => isIP(address) !== 0 && trusted.check(address, isIPv6(address) ? 'ipv6' : 'ipv4'),
      tlsPort: () => this.#tls.port,
      acceptHttp2: (socket) => http2.accept(socket),
      log: (appId, entry) => this.#accessLogs.write(appId, entry),
    };
    const http2 = new Http2Connections(this.#context);
    this.#tls = new TlsFront(this.#context, options, files.tlsPort);
    this.#front = new HttpFront(this.#context, this.#tls);
    this.#tcp = new TcpRoutes(options.address, this.#endpoints);
  }

  /**
   * Takes up the table of the last run, then listens: nobody is told 404 for want of a table that is on disk.
   * @param preferredPort tried first where any port will do
   * @param beforeListening what is to be done when all is ready for clients
   * @throws PaasError `conflict` (port in use), `not_allowed` (port needs a right), `unavailable` (other reasons)
   */
  async start(preferredPort: number, beforeListening: () => Promise<void>): Promise<void> {
    const found = await loadTable(this.#tablePath);
    if (found && 'problem' in found) this.problem = found.problem;
    const loaded = found && 'table' in found ? found : null;
    if (loaded) await this.#swap(loaded);
    const certificates = this.#tls.prepare(loaded?.table.certificates);
    await beforeListening();
    this.port = await this.#listen(preferredPort);
    if (loaded) await this.#openPorts(loaded, certificates);
  }

  /** Takes orders from now on. */
  async openAdmin(): Promise<void> {
    this.#admin = await startAdmin(this.#socketPath, {
      status: () => this.status(),
      traffic: () => this.#endpoints.traffic(),
      apply: (text) => this.apply(text),
    });
  }

  async #listen(preferredPort: number): Promise<number> {
    const { address, port } = this.#options;
    if (port === 0 && preferredPort !== 0) {
      try {
        return await this.#front.listen(address, preferredPort);
      } catch (error) {
        if (errnoOf(error) !== 'EADDRINUSE') throw this.#cannotListen(error, preferredPort);
      }
    }
    try {
      return await this.#front.listen(address, port);
    } catch (error) {
      throw this.#cannotListen(error, port);
    }
  }

  #cannotListen(error: unknown, port: number): PaasError {
    return listenError(errnoOf(error) ?? String(error), this.#options.address, port, error);
  }

  status(): RouterStatus {
    const host = urlHost(this.#options.address);
    return {
      version: this.#version,
      url: `http://${host}:${this.port}`,
      ...(this.#tls.port === null ? {} : { tlsUrl: `https://${host}:${this.#tls.port}` }),
      driver: 'embedded',
      open: this.open(),
      ejected: this.#endpoints.ejected(),
      problems: [
        ...(this.problem === null ? [] : [this.problem]),
        ...this.#tcp.problems(),
        ...this.#tls.problems(),
        ...this.#regions.problems(),
      ],
    };
  }

  /**
   * Puts a table in force at once, and answers when it is on disk too and its TCP ports are bound. A disk that takes
   * nothing is a problem in the status, not a reason to route to instances that are gone. One at a time, in order.
   */
  apply(text: string): Promise<RouterStatus> {
    return this.#inTurn(async () => {
      if (this.#deposed) throw new PaasError('unavailable', 'Another process is the router now.');
      const loaded = await inSlices(readTable(text));
      const certificates = this.#tls.prepare(loaded.table.certificates);
      await this.#swap(loaded);
      await this.#openPorts(loaded, certificates);
      try {
        await replaceDurably(this.#tablePath, text);
        this.problem = null;
        await this.before?.reload();
      } catch (error) {
        this.problem = `the route table could not be saved: ${errnoOf(error) ?? String(error)}`;
        this.before?.stop();
      }
      return this.status();
    });
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#applying.then(change);
    this.#applying = turn.catch(() => undefined);
    return turn;
  }

  /** Takes up the table on disk once more: it may have changed while another process had it, or has it. */
  reload(): Promise<void> {
    return this.#inTurn(async () => {
      const loaded = await loadTable(this.#tablePath);
      if (!loaded || 'problem' in loaded) return;
      await this.#swap(loaded);
      if (!this.#context.stopping) await this.#openPorts(loaded, this.#tls.prepare(loaded.table.certificates));
    });
  }

  /** Waits until no change is under way, and lets none begin until `resume` is called. */
  async holdChanges(): Promise<{ resume: () => void }> {
    let resume = (): void => undefined;
    const before = this.#applying;
    this.#applying = new Promise((resolve) => (resume = () => resolve(undefined)));
    await before;
    return { resume };
  }

  /** Takes no orders any more. Whoever is in the middle of one finds out, and gives it to the next process. */
  async closeAdmin(): Promise<void> {
    this.#deposed = true;
    const admin = this.#admin;
    this.#admin = null;
    if (!admin) return;
    const closed = new Promise((resolve) => admin.close(resolve));
    admin.closeAllConnections();
    await closed;
  }

  /** Requests and connections under way in this process and in those before it, by instance. */
  open(): Record<string, number> {
    return sum(this.#endpoints.open(), this.before?.open() ?? {});
  }

  /** Ends a graceful stop: what is open is broken off. */
  breakOff(): void {
    this.#front.breakOff();
    this.#tcp.breakOff();
  }

  async #openPorts({ table }: Loaded, certificates: CertificateSet): Promise<void> {
    await Promise.all([this.#tcp.update(table.tcp), this.#tls.use(certificates), this.#regions.use(table)]);
  }

  async #swap(loaded: Loaded): Promise<void> {
    const { challenges = {} } = loaded.table;
    const tryAgain = await inSlices(this.#endpoints.updating(loaded.table));
    this.#index = loaded.index;
    this.#version = loaded.table.version;
    const tokens = Object.entries(challenges);
    this.#context.challenges = tokens.length > 0 ? new Map(tokens) : null;
    tryAgain();
  }

  /** As `stop`, behind another process that took over: connections at rest stay until they have had one more request. */
  async retire(graceMs: number): Promise<void> {
    await Promise.all([this.#front.close(graceMs, true), this.#tcp.close(graceMs)]);
    await this.stop(graceMs);
  }

  /** Graceful: requests under way have `graceMs`. The control socket answers until the end, so that drains can be seen. */
  async stop(graceMs: number): Promise<void> {
    await Promise.all([this.#front.close(graceMs), this.#tcp.close(graceMs)]);
    this.#admin?.close();
    this.#admin?.closeAllConnections();
    await this.#applying;
    this.#regions.close();
    clearInterval(this.#sweep);
    await this.#accessLogs.close();
  }
}

function sum(one: Record<string, number>, other: Record<string, number>): Record<string, number> {
  const total = { ...one };
  for (const [instance, count] of Object.entries(other)) total[instance] = (total[instance] ?? 0) + count;
  return total;
}

/** Loopback is always believed. @throws PaasError `usage` for what is neither an address nor a CIDR */
function trustList(proxies: readonly string[]): BlockList {
  const list = new BlockList();
  list.addSubnet('127.0.0.0', 8, 'ipv4');
  list.addAddress('::1', 'ipv6');
  for (const proxy of proxies) {
    const [address = '', bits] = proxy.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    const longest = family === 'ipv6' ? 128 : 32;
    const prefix = bits === undefined ? longest : Number(bits);
    if (isIP(address) === 0 || !Number.isInteger(prefix) || prefix < 0 || prefix > longest) {
      throw new PaasError('usage', `"${proxy}" is neither an address nor a CIDR range.`);
    }
    list.addSubnet(address, prefix, family);
  }
  return list;
}
