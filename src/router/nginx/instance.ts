/** One nginx on this host: its start, its reloads and what it says of itself. */
import { chmodSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Backend } from '../../shared/contracts/routes.ts';
import { errnoOf, PaasError } from '../../shared/errors.ts';
import { readJsonFileIfSound, writeDurably, writeIfOther } from '../../shared/files.ts';
import { isAlive, listDescendants, processIdentity, type ProcessIdentity } from '../../shared/processes.ts';
import type { RouterConfig } from '../port.ts';
import { urlHost } from '../addresses.ts';
import { callSocket, unreachable } from '../control-socket.ts';
import { askStatus, type NginxStatus } from './admin.ts';
import type { NginxFiles, Running } from './layout.ts';
import { endMaster, endProcesses, lastRun, livingMaster, reload } from './master.ts';
import { ownBodyLimit } from './own-limits.ts';
import { choosePort, untilClosed } from './ports.ts';
import { nothingPresent, Possibilities, type Possible } from './possible.ts';
import type { Surroundings } from './records.ts';
import { findNginx } from './programs.ts';
import { prepareFiles, startFailure } from './start.ts';
import { bodyLocation, covers, emptyShape, locationOf, shape as shapeSchema, type Shape } from './shape.ts';
import { portsOf } from './sockets.ts';
import { forgetConnections } from './tcp-files.ts';
import { configurationOf, writeConfiguration, type Ports } from './write.ts';

const startTimeoutMs = 20_000;
const reloadTimeoutMs = 10_000;
const pollMs = 10;
/** How often what could not be had is tried again. */
const retryMs = 5_000;
/** The same for a configuration that nginx did not take: each try ends connections. */
const refusedMs = 60_000;

export class Instance {
  readonly #config: RouterConfig;
  readonly #files: NginxFiles;
  readonly #settings: string;
  /** What the table wants; what of it nginx has is in its configuration. Null: as on disk. */
  #wanted: Shape | null = null;
  #inForce: Shape = emptyShape;
  /** Whether nginx has exactly that: not known behind an agent that died during a reload. */
  #certain = true;
  #problems: string[] = [];
  #retryAt = 0;
  /** What nginx did not take, and until when it is not tried again. */
  #refused = { shape: '', until: 0 };
  readonly #possibilities: Possibilities;

  /** @param settings fingerprint of everything that takes a new master to change */
  constructor(config: RouterConfig, files: NginxFiles, settings: string) {
    this.#config = config;
    this.#files = files;
    this.#settings = settings;
    this.#possibilities = new Possibilities(config, files.tls);
  }

  /** Ensures that nginx runs as it was configured. @throws PaasError as `Router.start` */
  async ensure(): Promise<NginxStatus> {
    const master = livingMaster(this.#files);
    if (master?.settings === this.#settings) {
      const status = await this.#whenReady(master, Date.now() + startTimeoutMs, () => true);
      if (status) {
        this.#takeUp(master, status);
        return status;
      }
    }
    return this.#start();
  }

  #takeUp(master: Running, { configuration }: NginxStatus): void {
    const saved = this.#savedShape();
    this.#certain = configurationOf(this.#config, this.#files, saved, master).id === configuration;
    const listens = (port: number | undefined): boolean => port !== undefined && portsOf([master.pid]).has(port);
    this.#inForce = this.#certain ? saved : { ...saved, tls: saved.tls && listens(master.tlsPort) };
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

  /** Workers of all generations. */
  workers(): number[] {
    return listDescendants(this.living()).map(({ pid }) => pid);
  }

  /** What nginx has of a table in its configuration. */
  get shape(): Shape {
    return this.#inForce;
  }

  /** Where a backend's requests go, where that is not the usual location. */
  location(backend: Backend): ReturnType<Surroundings['location']> {
    const own = locationOf(backend);
    if (own !== undefined && this.#inForce.locations.some(({ name }) => name === own))
      return { all: own, most: ownBodyLimit(backend.nginx ?? '') };
    const h2c = backend.protocol === 'h2c';
    const most = backend.limits?.maxBodyBytes;
    return { all: h2c ? '@h2c' : undefined, uncounted: most === undefined ? undefined : bodyLocation(most, h2c) };
  }

  get tlsPort(): number | undefined {
    return this.#inForce.tls ? lastRun(this.#files)?.tlsPort : undefined;
  }

  urls(): { url: string; tlsUrl?: string } {
    const host = urlHost(this.#config.address);
    const { port, tlsPort } = this.living();
    const url = `http://${host}:${port}`;
    return this.#inForce.tls && tlsPort !== undefined ? { url, tlsUrl: `https://${host}:${tlsPort}` } : { url };
  }

  problems(): string[] {
    return this.#problems;
  }

  /** Something that could not be had is due to be tried again. */
  get retries(): boolean {
    return (this.#problems.length > 0 || !this.#certain) && Date.now() > this.#retryAt;
  }

  /**
   * Makes nginx listen where it should, by a reload where that changes something. What cannot be had is left out, and
   * where nothing can be changed all stays as it is: either is said in `problems`.
   * @param wanted absent: what was wanted last, again
   * @returns whether something changed
   * @throws PaasError `unavailable` when nginx does not run
   */
  async reshape(wanted: Shape = this.#wanted ?? this.#savedShape()): Promise<boolean> {
    this.#wanted = wanted;
    this.#retryAt = Date.now() + retryMs;
    try {
      return await this.#reshape(wanted);
    } catch (error) {
      const isTold = error instanceof PaasError ? error.code !== 'unavailable' : errnoOf(error) !== undefined;
      if (!isTold) throw error;
      const why = error instanceof Error ? error.message : String(error);
      this.#problems = [...this.#problems, `ports, TLS and apps' own configuration stay as they were: ${why}`];
      return false;
    }
  }

  async #reshape(wanted: Shape): Promise<boolean> {
    const before = this.#inForce;
    const living = this.living();
    // Nearly every table: asking the system for its sockets takes long where there are many.
    if (this.#certain && covers(before, wanted)) {
      this.#problems = [];
      return false;
    }
    const locations = new Set(this.#certain ? before.locations.map(({ name }) => name) : []);
    const possible = await this.#possibilities.of(wanted, { locations, ports: portsOf([living.pid]) }, living);
    this.#problems = possible.problems;
    if (this.#certain && covers(before, possible.shape)) return false;
    const refused = this.#refused;
    if (refused.shape === JSON.stringify(possible.shape) && Date.now() < refused.until) throw notTaken(this.#files);
    this.#note(possible);
    const master = this.living();
    const configuration = configurationOf(this.#config, this.#files, possible.shape, master);
    writeConfiguration(this.#files, configuration);
    // Before nginx is told: an agent that is killed meanwhile leaves to the next one what nginx has, or is about to.
    this.#saveShape(possible.shape);
    const old = this.workers().filter((pid) => pid !== master.pid);
    await reload(this.#files, master.pid);
    const status = await this.#whenReady(master, Date.now() + reloadTimeoutMs, (id) => id === configuration.id);
    if (!status) {
      this.#refused = { shape: JSON.stringify(possible.shape), until: Date.now() + refusedMs };
      await callSocket(this.#files.socket, 'PUT /closing?end=1');
      writeConfiguration(this.#files, configurationOf(this.#config, this.#files, before, master));
      this.#saveShape(before);
      throw notTaken(this.#files);
    }
    this.#inForce = possible.shape;
    this.#certain = true;
    // They know no new location, and hold ports that are not wanted any more.
    await untilClosed(old);
    return true;
  }

  #note({ tlsPort }: Possible): void {
    const present = lastRun(this.#files);
    if (!present || tlsPort === undefined || tlsPort === present.tlsPort) return;
    writeDurably(this.#files.running, JSON.stringify({ ...present, tlsPort }));
  }

  #saveShape(shape: Shape): void {
    writeIfOther(this.#files.shape, JSON.stringify(shape));
  }

  async #start(): Promise<NginxStatus> {
    const program = findNginx();
    prepareFiles(this.#config.directory, this.#files);
    await endProcesses(this.#config.directory, this.#files);
    forgetConnections(this.#files.tcp);
    const last = lastRun(this.#files);
    const port = await choosePort(this.#config.address, this.#config.port, last?.port);
    this.#inForce = emptyShape;
    const wanted = this.#wanted ?? this.#savedShape();
    this.#wanted = wanted;
    this.#retryAt = Date.now() + retryMs;
    const possible = await this.#possibilities.of(wanted, nothingPresent, { port, tlsPort: last?.tlsPort });
    this.#problems = possible.problems;
    const tlsPort = possible.tlsPort ?? last?.tlsPort;
    const ports: Ports = { port, ...(tlsPort !== undefined && { tlsPort }) };
    const configuration = configurationOf(this.#config, this.#files, possible.shape, ports);
    writeConfiguration(this.#files, configuration);
    this.#saveShape(possible.shape);
    rmSync(this.#files.socket, { force: true });
    rmSync(this.#files.output, { force: true });
    const { directory } = this.#config;
    const argv = [program.nginx, '-p', directory, '-c', this.#files.configuration, '-e', this.#files.errors];
    const detached = { logFile: this.#files.output, env: {} };
    const pid = await this.#config.spawnDetached([...argv, '-g', 'daemon off;'], detached);
    const master = processIdentity(pid);
    if (!master) throw startFailure(this.#files);
    writeDurably(this.#files.running, JSON.stringify({ ...master, settings: this.#settings, ...ports }));
    const status = await this.#whenReady(master, Date.now() + startTimeoutMs, (id) => id === configuration.id);
    if (status) {
      chmodSync(this.#files.socket, 0o600);
      this.#inForce = possible.shape;
      this.#certain = true;
      return status;
    }
    if (!isAlive(master)) throw startFailure(this.#files);
    await endMaster(master);
    throw new PaasError('timeout', `nginx did not begin to answer within ${startTimeoutMs / 1000} s.`, {
      hint: `See ${this.#files.errors}.`,
    });
  }

  #savedShape(): Shape {
    return readJsonFileIfSound(this.#files.shape, shapeSchema) ?? emptyShape;
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

const notTaken = ({ errors }: NginxFiles): PaasError =>
  new PaasError('timeout', `nginx did not take its new configuration within ${reloadTimeoutMs / 1000} s.`, {
    hint: `See ${errors}.`,
  });
