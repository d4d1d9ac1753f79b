/** One nginx on this host: its configuration on disk, its start, its reloads and what it says of itself. */
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf, PaasError } from '../../shared/errors.ts';
import { writeDurably } from '../../shared/files.ts';
import { isAlive, type ProcessIdentity } from '../../shared/processes.ts';
import type { RouterConfig } from '../port.ts';
import { askStatus, unreachable, type NginxStatus } from './admin.ts';
import { makeConfiguration, type Configuration, type NginxOptions } from './configuration.ts';
import { maxSocketPath, type NginxFiles, type Running } from './layout.ts';
import { luaFiles } from './lua/index.ts';
import { endMaster, endOrphans, identify, lastRun, livingMaster } from './master.ts';
import { pagesLua } from './page-texts.ts';
import { choosePort } from './ports.ts';
import { findNginx, type NginxProgram } from './programs.ts';

const startTimeoutMs = 20_000;
const pollMs = 20;

export class Instance {
  readonly #config: RouterConfig;
  readonly #files: NginxFiles;
  readonly #settings: string;

  /** @param settings fingerprint of everything that takes a new master to change */
  constructor(config: RouterConfig, files: NginxFiles, settings: string) {
    this.#config = config;
    this.#files = files;
    this.#settings = settings;
  }

  /** Ensures that nginx runs as it was configured. @throws PaasError as `Router.start` */
  async ensure(): Promise<NginxStatus> {
    const master = livingMaster(this.#files);
    if (master?.settings === this.#settings) {
      const status = await this.#whenReady(master, Date.now() + startTimeoutMs, () => true);
      if (status) return status;
    }
    if (master) await endMaster(master);
    return this.#start();
  }

  /** The running master. @throws PaasError `unavailable` */
  living(): Running {
    const master = livingMaster(this.#files);
    // Workers that a killed master left answer still, but nobody keeps them.
    if (!master) throw unreachable(this.#files.socket, 'it does not run');
    return master;
  }

  async status(): Promise<NginxStatus> {
    this.living();
    return askStatus(this.#files.socket);
  }

  urls(): { url: string; tlsUrl?: string } {
    const { address } = this.#config;
    const host = address === '0.0.0.0' || address === '::' ? 'localhost' : isIPv6(address) ? `[${address}]` : address;
    const { port } = this.living();
    return { url: `http://${host}:${port}` };
  }

  problems(): string[] {
    return [];
  }

  async #start(): Promise<NginxStatus> {
    const program = findNginx();
    this.#prepareDirectory();
    await endOrphans(this.#config.directory, this.#files);
    const last = lastRun(this.#files);
    const port = await choosePort(this.#config.address, this.#config.port, last?.port);
    const configuration = this.#write(program, port, randomUUID());
    rmSync(this.#files.socket, { force: true });
    rmSync(this.#files.output, { force: true });
    const { directory } = this.#config;
    const argv = [program.nginx, '-p', directory, '-c', this.#files.configuration, '-e', this.#files.errors];
    const pid = await this.#config.spawnDetached([...argv, '-g', 'daemon off;'], {
      logFile: this.#files.output,
      env: {},
    });
    const master = identify(pid);
    if (master) {
      const record: Running = { ...master, settings: this.#settings, port };
      writeDurably(this.#files.running, JSON.stringify(record));
      const status = await this.#whenReady(master, Date.now() + startTimeoutMs, (id) => id === configuration.id);
      if (status) {
        chmodSync(this.#files.socket, 0o600);
        return status;
      }
      if (isAlive(master)) {
        await endMaster(master);
        throw new PaasError('timeout', `nginx did not begin to answer within ${startTimeoutMs / 1000} s.`, {
          hint: `See ${this.#files.errors}.`,
        });
      }
    }
    throw this.#failure();
  }

  /** Why nginx ended at once, in its own words. */
  #failure(): PaasError {
    const said = [this.#files.output, this.#files.errors].map(tail).join('\n');
    const [, reason = 'it gave no reason'] = /\[emerg\] (?:\d+#\d+: )?([^\n]*)/.exec(said) ?? [];
    return new PaasError('unavailable', `nginx does not start: ${reason}.`, { hint: `See ${this.#files.output}.` });
  }

  #write(program: NginxProgram, port: number, epoch: string): Configuration {
    const { directory, address, responseTimeoutMs = 60_000, trustedProxies = [] } = this.#config;
    const options: NginxOptions = {
      ...{ directory, files: this.#files, program, address, port, tlsPort: undefined, epoch },
      ...{ workers: availableParallelism(), root: process.getuid?.() === 0 },
      ...{ responseMs: responseTimeoutMs, trustedProxies, locations: [], stream: '' },
    };
    const configuration = makeConfiguration(options);
    const modules = join(this.#files.lua, 'paas');
    mkdirSync(modules, { recursive: true, mode: 0o700 });
    const lua = { ...luaFiles, 'pages.lua': pagesLua(), 'settings.lua': configuration.settings };
    for (const [name, text] of Object.entries(lua)) writeFileSync(join(modules, name), text, { mode: 0o600 });
    writeFileSync(this.#files.configuration, configuration.text, { mode: 0o600 });
    return configuration;
  }

  #prepareDirectory(): void {
    const { socket, temporary, accessLogs, tls } = this.#files;
    if (Buffer.byteLength(socket) > maxSocketPath) {
      throw new PaasError('unsupported', `The path of the router's control socket is too long: ${socket}`, {
        hint: `A unix socket's path may have ${maxSocketPath} bytes: use a data directory with a shorter path.`,
      });
    }
    const { directory } = this.#config;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    if ((statSync(directory).mode & 0o077) !== 0) chmodSync(directory, 0o700);
    for (const path of [temporary, accessLogs, tls]) mkdirSync(path, { recursive: true, mode: 0o700 });
  }

  /** The status as soon as a worker with the wanted configuration answers; null when the master ends, or at the deadline. */
  async #whenReady(
    master: ProcessIdentity,
    deadline: number,
    wanted: (configuration: string) => boolean,
  ): Promise<NginxStatus | null> {
    for (;;) {
      const alive = isAlive(master);
      try {
        const status = await askStatus(this.#files.socket);
        if (alive && wanted(status.configuration)) return status;
      } catch (error) {
        if (!(error instanceof PaasError) || (error.code !== 'unavailable' && error.code !== 'timeout')) throw error;
      }
      if (!alive || Date.now() > deadline) return null;
      await sleep(pollMs);
    }
  }
}

function tail(path: string): string {
  try {
    return readFileSync(path, 'utf8').slice(-4096);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return '';
    throw error;
  }
}
