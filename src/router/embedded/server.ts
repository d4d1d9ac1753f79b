/** The router process put together: HTTP front, TCP routes, control socket, table on disk, access log. */
import { BlockList, isIP, isIPv6 } from 'node:net';
import type { Server } from 'node:http';
import type { RouterStatus } from '../../shared/contracts/routes.ts';
import { errnoOf, PaasError } from '../../shared/errors.ts';
import { match, type RouteIndex } from '../table.ts';
import { AccessLogs } from './access-logs.ts';
import { startAdmin } from './admin.ts';
import { Endpoints } from './endpoints.ts';
import { defaultLimits, type HttpContext } from './http/context.ts';
import { HttpFront } from './http/front.ts';
import { routerFiles } from './layout.ts';
import type { RouterOptions } from './options.ts';
import { loadTable, parseTable, saveTable, type Loaded } from './table-file.ts';
import { TcpRoutes } from './tcp.ts';

export class RouterServer {
  readonly #options: RouterOptions;
  readonly #endpoints = new Endpoints();
  readonly #context: HttpContext;
  readonly #front: HttpFront;
  readonly #tcp: TcpRoutes;
  readonly #accessLogs: AccessLogs;
  readonly #tablePath: string;
  readonly #socketPath: string;
  #index: RouteIndex = { exact: new Map(), wildcard: new Map() };
  #version = 0;
  #problem: string | null = null;
  #admin: Server | null = null;
  #applying: Promise<unknown> = Promise.resolve();
  port = 0;

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
      route: (host, path) => {
        const key = match(this.#index, host, path);
        return key === null ? null : (this.#endpoints.backend(key) ?? null);
      },
      isTrusted: (address) => isIP(address) !== 0 && trusted.check(address, isIPv6(address) ? 'ipv6' : 'ipv4'),
      log: (appId, entry) => this.#accessLogs.write(appId, entry),
    };
    this.#front = new HttpFront(this.#context);
    this.#tcp = new TcpRoutes(options.address, this.#endpoints);
  }

  /**
   * Takes up the table of the last run, then listens: nobody is told 404 for want of a table that is on disk.
   * @param preferredPort tried first where any port will do
   * @throws PaasError `conflict` (port in use), `not_allowed` (port needs a right), `unavailable` (other reasons)
   */
  async start(preferredPort: number): Promise<void> {
    const loaded = await loadTable(this.#tablePath);
    if (loaded && 'problem' in loaded) this.#problem = loaded.problem;
    else if (loaded) this.#swap(loaded);
    this.port = await this.#listen(preferredPort);
    if (loaded && 'table' in loaded) await this.#tcp.update(loaded.table.tcp);
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
        if (errnoOf(error) !== 'EADDRINUSE') throw listenError(error, address, preferredPort);
      }
    }
    try {
      return await this.#front.listen(address, port);
    } catch (error) {
      throw listenError(error, address, port);
    }
  }

  status(): RouterStatus {
    const { address } = this.#options;
    const host = address === '0.0.0.0' || address === '::' ? 'localhost' : isIPv6(address) ? `[${address}]` : address;
    return {
      version: this.#version,
      url: `http://${host}:${this.port}`,
      driver: 'embedded',
      open: this.#endpoints.open(),
      problems: [...(this.#problem === null ? [] : [this.#problem]), ...this.#tcp.problems()],
    };
  }

  /**
   * Puts a table in force at once, and answers when it is on disk too and its TCP ports are bound. A disk that takes
   * nothing is a problem in the status, not a reason to route to instances that are gone. One at a time, in order.
   */
  apply(text: string): Promise<RouterStatus> {
    const loaded = parseTable(text);
    const turn = this.#applying.then(async () => {
      this.#swap(loaded);
      await this.#tcp.update(loaded.table.tcp);
      try {
        await saveTable(this.#tablePath, text);
        this.#problem = null;
      } catch (error) {
        this.#problem = `the route table could not be saved: ${errnoOf(error) ?? String(error)}`;
      }
      return this.status();
    });
    this.#applying = turn.catch(() => undefined);
    return turn;
  }

  #swap(loaded: Loaded): void {
    this.#endpoints.update(loaded.table);
    this.#index = loaded.index;
    this.#version = loaded.table.version;
  }

  /** Graceful: requests under way have `graceMs`. The control socket answers until the end, so that drains can be seen. */
  async stop(graceMs: number): Promise<void> {
    await Promise.all([this.#front.close(graceMs), this.#tcp.close(graceMs)]);
    this.#admin?.close();
    this.#admin?.closeAllConnections();
    await this.#applying;
    await this.#accessLogs.close();
  }
}

function listenError(error: unknown, address: string, port: number): PaasError {
  const code = errnoOf(error) ?? String(error);
  const where = `port ${port} on ${address}`;
  if (code === 'EADDRINUSE') {
    return new PaasError('conflict', `The router cannot listen: ${where} is in use by another program.`, {
      hint: `Stop that program (\`ss -ltnp sport = :${port}\` names it), or choose another port with --router-port.`,
      cause: error,
    });
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new PaasError('not_allowed', `The router may not listen on ${where}.`, {
      hint: 'Ports below 1024 need a right; choose a higher one with --router-port.',
      cause: error,
    });
  }
  return new PaasError('unavailable', `The router cannot listen on ${where}: ${code}.`, { cause: error });
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
