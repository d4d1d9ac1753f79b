/**
 * Driver of the embedded router, run by the agent: starts the router process when none lives, and talks to it over its
 * control socket. It holds no state of its own that a restart of the agent could lose: the router's directory does.
 */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RouterStatus, RouterTraffic, RouteTable } from '../../shared/contracts/routes.ts';
import { fromErrorBody, PaasError } from '../../shared/errors.ts';
import { readJsonFile, writeDurably } from '../../shared/files.ts';
import { lockHolder } from '../../shared/lock-file.ts';
import { isAlive, processIdentity, sendSignal, type ProcessIdentity } from '../../shared/processes.ts';
import { version } from '../../shared/version.ts';
import type { Router, RouterConfig } from '../port.ts';
import { prepareDirectory } from '../control-socket.ts';
import { Turns } from '../turns.ts';
import { callRouter, readTraffic } from './admin-client.ts';
import { failure, heirFails, placeOf, routerFiles, running, type RouterFiles } from './layout.ts';
import { writeOptions } from './options.ts';

const startTimeoutMs = 20_000;
/** The router's own 10 s for open requests, and some for its end. */
const stopTimeoutMs = 15_000;
const pollMs = 20;

export function createEmbeddedRouter(config: RouterConfig): Router {
  return new EmbeddedRouter(config);
}

class EmbeddedRouter implements Router {
  readonly accessLogs: string;
  readonly #config: RouterConfig;
  readonly #files: RouterFiles;
  readonly #turns = new Turns();

  constructor(config: RouterConfig) {
    this.#config = config;
    this.#files = routerFiles(config.directory);
    this.accessLogs = this.#files.accessLogs;
  }

  start(): Promise<RouterStatus> {
    return this.#turns.take(() => this.#ensure());
  }

  apply(table: RouteTable): Promise<RouterStatus> {
    return this.#turns.apply(table, (latest) => this.#put(latest));
  }

  observe(): Promise<RouterStatus> {
    return this.#bridged(() => callRouter(this.#files.socket));
  }

  traffic(): Promise<RouterTraffic> {
    return this.#bridged(() => readTraffic(this.#files.socket));
  }

  /** Asks again where one process has closed its control socket and the next has not opened its own yet: no user notices. */
  async #bridged<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      const holder = lockHolder(this.#files.lock);
      if (!isUnavailable(error) || !holder) throw error;
      // It may have begun to answer just now.
      const ready = this.#isRunning(holder.pid) || (await this.#whenReady(holder, Date.now() + startTimeoutMs));
      if (!ready) throw error;
      return ask();
    }
  }

  stop(): Promise<void> {
    return this.#turns.take(async () => {
      const holder = lockHolder(this.#files.lock);
      if (holder) await this.#end(holder);
    });
  }

  async #put(table: RouteTable): Promise<RouterStatus> {
    const body = JSON.stringify(table);
    try {
      return await callRouter(this.#files.socket, body);
    } catch (error) {
      if (!isUnavailable(error)) throw error;
    }
    // It does not run, or died before it answered. The table is whole, so that giving it again does no harm.
    await this.#ensure();
    return await callRouter(this.#files.socket, body);
  }

  async #ensure(): Promise<RouterStatus> {
    const settings = this.#settings();
    const holder = lockHolder(this.#files.lock);
    if (holder) {
      const status = await this.#whenReady(holder, Date.now() + startTimeoutMs);
      const record = status && readJsonFile(this.#files.running, running);
      if (status && record?.settings === settings) return status;
      const replaced = record?.place === placeOf(this.#config) && (await this.#replace(holder, settings));
      if (replaced) return replaced;
      await this.#end(lockHolder(this.#files.lock) ?? holder);
    }
    return this.#spawn(settings);
  }

  #argv(settings: string): string[] {
    const { directory, address, port, tlsPort, program, responseTimeoutMs, trustedProxies = [] } = this.#config;
    const options = {
      directory,
      address,
      port,
      settings,
      trustedProxies,
      ...(tlsPort === undefined ? {} : { tlsPort }),
    };
    return [...program, ...writeOptions(responseTimeoutMs === undefined ? options : { ...options, responseTimeoutMs })];
  }

  /** Has a router that listens at the right place exchanged, without a gap. Null where the new one does not serve. */
  async #replace(router: ProcessIdentity, settings: string): Promise<RouterStatus | null> {
    writeDurably(this.#files.next, JSON.stringify({ argv: this.#argv(settings) }));
    sendSignal(router.pid, 'SIGHUP');
    const deadline = Date.now() + startTimeoutMs;
    while (Date.now() < deadline && isAlive(router)) {
      const holder = lockHolder(this.#files.lock) ?? router;
      const status = await this.#whenReady(holder, deadline);
      if (readJsonFile(this.#files.running, running)?.settings === settings) return status;
      if (status?.problems.some((problem) => problem.startsWith(heirFails))) return null;
      await sleep(pollMs);
    }
    return null;
  }

  async #spawn(settings: string): Promise<RouterStatus> {
    prepareDirectory(this.#config.directory, this.#files.socket);
    const pid = await this.#config.spawnDetached(this.#argv(settings), { logFile: this.#files.output, env: {} });
    const child = processIdentity(pid);
    const status = child && (await this.#whenReady(child, Date.now() + startTimeoutMs));
    if (status) return status;
    if (child && isAlive(child)) {
      sendSignal(child.pid, 'SIGKILL');
      throw new PaasError('timeout', `The router did not begin to answer within ${startTimeoutMs / 1000} s.`, {
        hint: `See ${this.#files.output}.`,
      });
    }
    const failed = readJsonFile(this.#files.failure, failure);
    if (failed?.pid === pid) throw fromErrorBody(failed.error);
    throw new PaasError('unavailable', 'The router process ended at once.', { hint: `See ${this.#files.output}.` });
  }

  /** The status as soon as the router answers; null when its process ends before, or at the deadline. */
  async #whenReady(router: ProcessIdentity, deadline: number): Promise<RouterStatus | null> {
    for (;;) {
      const alive = isAlive(router);
      try {
        const status = await callRouter(this.#files.socket);
        const holder = lockHolder(this.#files.lock);
        if (holder && this.#isRunning(holder.pid)) return status;
      } catch (error) {
        if (!isUnavailable(error) && !(error instanceof PaasError && error.code === 'timeout')) throw error;
      }
      if (!alive || Date.now() > deadline) return null;
      await sleep(pollMs);
    }
  }

  #isRunning(pid: number): boolean {
    return readJsonFile(this.#files.running, running)?.pid === pid;
  }

  /** SIGTERM, then SIGKILL to one that does not end. */
  async #end(router: ProcessIdentity): Promise<void> {
    sendSignal(router.pid, 'SIGTERM');
    const deadline = Date.now() + stopTimeoutMs;
    let killed = false;
    while (isAlive(router)) {
      if (!killed && Date.now() > deadline) killed = sendSignal(router.pid, 'SIGKILL');
      await sleep(pollMs);
    }
  }

  /** Changes with everything that a running process cannot take up. */
  #settings(): string {
    const { address, port, tlsPort, program, responseTimeoutMs, trustedProxies } = this.#config;
    const parts = { version, address, port, tlsPort, program, responseTimeoutMs, trustedProxies };
    return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
  }
}

const isUnavailable = (error: unknown): boolean => error instanceof PaasError && error.code === 'unavailable';
