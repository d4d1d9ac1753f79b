/**
 * Driver of nginx as a router, run by the agent: writes its configuration, starts it, and hands it tables over its control
 * socket. What must survive the agent is in the router's directory: the table as records, and who the master is.
 */
import { createHash } from 'node:crypto';
import type { RouterStatus, RouterTraffic, RouteTable } from '../../shared/contracts/routes.ts';
import { PaasError } from '../../shared/errors.ts';
import { version } from '../../shared/version.ts';
import type { Router, RouterConfig } from '../port.ts';
import { requireRules } from '../requirements.ts';
import { Turns } from '../turns.ts';
import { compileTable } from '../table.ts';
import { askTraffic, type NginxStatus } from './admin.ts';
import { Instance } from './instance.ts';
import { nginxFiles, type NginxFiles } from './layout.ts';
import { endRouter } from './master.ts';
import { trySnippet } from './snippet.ts';
import { TableKeeper } from './table-keeper.ts';
import { workerCount } from './write.ts';

export function createNginxRouter(config: RouterConfig): Router {
  return new NginxRouter(config);
}

class NginxRouter implements Router {
  readonly accessLogs: string;
  readonly #config: RouterConfig;
  readonly #files: NginxFiles;
  readonly #table: TableKeeper;
  readonly #instance: Instance;
  readonly #turns = new Turns();
  /** The table that was put last, to be put again where something beside it changes. */
  #latest: RouteTable | null = null;

  constructor(config: RouterConfig) {
    this.#config = config;
    this.#files = nginxFiles(config.directory);
    this.accessLogs = this.#files.accessLogs;
    this.#table = new TableKeeper(this.#files);
    this.#instance = new Instance(config, this.#files, this.#settings());
  }

  start(): Promise<RouterStatus> {
    return this.#turns.take(async () => this.#told(await this.#instance.ensure()));
  }

  async apply(table: RouteTable): Promise<RouterStatus> {
    check(table);
    return this.#turns.apply(table, (latest) => this.#put(latest));
  }

  async observe(): Promise<RouterStatus> {
    const status = await this.#instance.status();
    if (this.#instance.retries) void this.#turns.take(() => this.#retry()).catch(() => undefined);
    if (await this.#table.regions.changed()) {
      void this.#turns.take(() => this.#putAgain()).catch(() => undefined);
    }
    return this.#told(status);
  }

  async traffic(): Promise<RouterTraffic> {
    this.#instance.living();
    const { epoch, counts } = await askTraffic(this.#files.socket);
    const { open } = await this.#instance.status();
    return { epoch, counts: this.#table.named(counts, this.#table.underWay(open, this.#instance)) };
  }

  checkSnippet(snippet: string): Promise<{ line: number; message: string }[]> {
    return trySnippet(snippet, this.#config.run);
  }

  stop(): Promise<void> {
    return this.#turns.take(() => endRouter(this.#config.directory, this.#files));
  }

  /** What could not be had is tried again; redirects to TLS, say, are in the records of a table. */
  async #retry(): Promise<void> {
    const changed = await this.#instance.reshape();
    if (changed) await this.#putAgain();
  }

  /** Starts none that is gone: whoever ended it, or finds out, knows better what is to become of it. */
  async #putAgain(): Promise<void> {
    if (this.#latest) await this.#table.put(this.#latest, this.#instance);
  }

  async #put(table: RouteTable): Promise<RouterStatus> {
    this.#latest = table;
    try {
      this.#instance.living();
      return this.#told(await this.#table.put(table, this.#instance));
    } catch (error) {
      if (!(error instanceof PaasError) || error.code !== 'unavailable') throw error;
    }
    // It does not run, or died before it answered. The table is whole, so that giving it again does no harm.
    await this.#instance.ensure();
    return this.#told(await this.#table.put(table, this.#instance));
  }

  #told(status: NginxStatus): RouterStatus {
    const { url, tlsUrl } = this.#instance.urls();
    const ejected = this.#table.instances(status.ejected);
    return {
      version: status.version,
      url,
      driver: 'nginx',
      open: this.#table.open(this.#table.underWay(status.open, this.#instance)),
      problems: [
        ...(status.problem === undefined ? [] : [status.problem]),
        ...this.#table.problems(),
        ...this.#instance.problems(),
      ],
      ...(tlsUrl !== undefined && { tlsUrl }),
      ...(ejected.length > 0 && { ejected }),
    };
  }

  /** Changes with everything that a running master cannot take up. */
  #settings(): string {
    const { address, port, tlsPort, responseTimeoutMs, trustedProxies } = this.#config;
    const parts = { version, address, port, tlsPort, responseTimeoutMs, trustedProxies, workers: workerCount() };
    return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
  }
}

/** @throws PaasError `bad_request` for a table that contradicts itself */
function check(table: RouteTable): void {
  compileTable(table);
  for (const { app, gray } of Object.values(table.backends)) if (gray) requireRules(app, gray.rules);
}
