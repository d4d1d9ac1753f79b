/** One nginx on this host: its configuration on disk, its start, its reloads and what it says of itself. */
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Backend } from '../../shared/contracts/routes.ts';
import { PaasError } from '../../shared/errors.ts';
import { readJsonFileIfSound, writeDurably } from '../../shared/files.ts';
import { isAlive, listDescendants, processIdentity, type ProcessIdentity } from '../../shared/processes.ts';
import type { RouterConfig } from '../port.ts';
import { urlHost } from '../addresses.ts';
import { callSocket, unreachable } from '../control-socket.ts';
import { askStatus, type NginxStatus } from './admin.ts';
import { makeConfiguration, type Configuration } from './configuration.ts';
import { firstProblem } from './first-certificate.ts';
import type { NginxFiles, Running } from './layout.ts';
import { luaFiles } from './lua/index.ts';
import { tcpJs } from './lua/tcp.ts';
import { endMaster, endOrphans, lastRun, livingMaster, reload } from './master.ts';
import { pagesLua } from './page-texts.ts';
import { choosePort, portProblem, tryPort, untilClosed } from './ports.ts';
import type { Surroundings } from './records.ts';
import { findNginx, streamMissing } from './programs.ts';
import { prepareFiles, startFailure } from './start.ts';
import { bodyLocation, emptyShape, locationOf, shape as shapeSchema, type Location, type Shape } from './shape.ts';
import { trySnippet } from './snippet.ts';
import { streamText } from './stream.ts';
import { forgetConnections } from './tcp-files.ts';

const startTimeoutMs = 20_000;
const reloadTimeoutMs = 10_000;
const pollMs = 10;
/** How often ports that were taken are tried again. */
const retryMs = 5_000;

export class Instance {
  readonly #config: RouterConfig;
  readonly #files: NginxFiles;
  readonly #settings: string;
  /** What the table wants; what of it nginx has is in its configuration. Null: as on disk. */
  #wanted: Shape | null = null;
  #inForce: Shape = emptyShape;
  #problems: string[] = [];
  #triedAt = 0;
  /** Apps' own locations that nginx was asked about. */
  readonly #tried = new Map<string, string | null>();

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
      if (status) {
        this.#inForce = this.#savedShape();
        return status;
      }
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

  /** Workers of all generations. */
  workers(): number[] {
    return listDescendants(this.living()).map(({ pid }) => pid);
  }

  /** Apps' own locations that requests can be sent to. */
  get locations(): readonly Location[] {
    return this.#inForce.locations;
  }

  /** Limits of bodies that there are locations for. */
  get bodies(): readonly number[] {
    return this.#inForce.bodies;
  }

  /** Where a backend's requests go, where that is not the usual location. */
  location(backend: Backend): ReturnType<Surroundings['location']> {
    const own = locationOf(backend);
    if (own !== undefined && this.locations.some(({ name }) => name === own)) return { all: own };
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
    return this.#problems.length > 0 && Date.now() - this.#triedAt > retryMs;
  }

  /**
   * Makes nginx listen where it should, by a reload where that changes something. What cannot be had is left out and
   * said in `problems`.
   * @param wanted absent: what was wanted last, again
   */
  async reshape(wanted: Shape = this.#wanted ?? this.#savedShape()): Promise<void> {
    this.#wanted = wanted;
    this.#triedAt = Date.now();
    const before = this.#inForce;
    const possible = await this.#possible(wanted);
    const master = this.living();
    if (JSON.stringify(possible) === JSON.stringify(before)) return;
    const configuration = this.#write(possible, master);
    await reload(this.#files, master.pid);
    const status = await this.#whenReady(master, Date.now() + reloadTimeoutMs, (id) => id === configuration.id);
    if (!status) {
      this.#write(before, master);
      await callSocket(this.#files.socket, 'PUT /closing?end=1');
      throw new PaasError('timeout', `nginx did not take its new configuration within ${reloadTimeoutMs / 1000} s.`, {
        hint: `See ${this.#files.errors}.`,
      });
    }
    this.#inForce = possible;
    writeDurably(this.#files.shape, JSON.stringify(possible));
    await this.#untilLeft(before, possible, master);
  }

  /** Old workers close the ports that are not listened on any more by themselves, a moment later. */
  async #untilLeft(before: Shape, now: Shape, master: Running): Promise<void> {
    const left = before.tcp.filter((port) => !now.tcp.includes(port));
    if (before.tls && !now.tls && master.tlsPort !== undefined) left.push(master.tlsPort);
    await untilClosed(left);
  }

  /** What of a shape can be had: ports that are free or its own. */
  async #possible(wanted: Shape): Promise<Shape> {
    const { address, tlsPort } = this.#config;
    const problems: string[] = [];
    const own = new Set(this.#inForce.tcp);
    const tcp: number[] = [];
    if (wanted.tcp.length > 0 && !findNginx().stream) problems.push(streamMissing);
    else {
      for (const port of wanted.tcp) {
        const problem = own.has(port) ? null : (await tryPort(address, port)).problem;
        if (problem === null) tcp.push(port);
        else problems.push(`TCP port ${port} on ${address}: ${problem}`);
      }
    }
    let tls = wanted.tls && tlsPort !== undefined;
    const damaged = tls ? firstProblem(this.#files.tls) : null;
    if (damaged !== null) {
      tls = false;
      problems.push(damaged);
    }
    if (tls && tlsPort !== undefined && !this.#inForce.tls) {
      try {
        const port = await choosePort(address, tlsPort, lastRun(this.#files)?.tlsPort);
        this.#note({ tlsPort: port });
      } catch (error) {
        if (!(error instanceof PaasError)) throw error;
        tls = false;
        problems.push(portProblem(error, tlsPort));
      }
    }
    const locations: Location[] = [];
    for (const one of wanted.locations) {
      const why = await this.#flaw(one);
      if (why === null) locations.push(one);
      else problems.push(`the nginx configuration of ${one.app} is left out: ${why}`);
    }
    this.#problems = problems;
    return { tls, tcp, locations, bodies: wanted.bodies };
  }

  /** Why a location cannot be had; each is tried by itself once, so that a bad one takes no other down. */
  async #flaw({ name, snippet, h2c }: Location): Promise<string | null> {
    let why = this.#tried.get(name);
    if (why === undefined) {
      const found = await trySnippet(snippet, this.#config.run, h2c);
      why = found.length === 0 ? null : found.map(({ line, message }) => `line ${line}: ${message}`).join('; ');
      this.#tried.set(name, why);
    }
    return why;
  }

  #note(change: Partial<Running>): void {
    const present = lastRun(this.#files);
    if (present) writeDurably(this.#files.running, JSON.stringify({ ...present, ...change }));
  }

  async #start(): Promise<NginxStatus> {
    const program = findNginx();
    prepareFiles(this.#config.directory, this.#files);
    await endOrphans(this.#config.directory, this.#files);
    forgetConnections(this.#files.tcp);
    const last = lastRun(this.#files);
    const port = await choosePort(this.#config.address, this.#config.port, last?.port);
    this.#inForce = emptyShape;
    const wanted = this.#wanted ?? this.#savedShape();
    this.#wanted = wanted;
    this.#triedAt = Date.now();
    const possible = await this.#possible(wanted);
    const tlsPort = lastRun(this.#files)?.tlsPort;
    const ports = { port, ...(tlsPort !== undefined && { tlsPort }) };
    const configuration = this.#write(possible, ports);
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
      this.#inForce = possible;
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

  #write(shape: Shape, ports: { port: number; tlsPort?: number | undefined }): Configuration {
    const { directory, address, responseTimeoutMs = 60_000, trustedProxies = [] } = this.#config;
    const configuration = makeConfiguration({
      ...{ directory, files: this.#files, program: findNginx(), address, port: ports.port, epoch: randomUUID() },
      ...{ tlsPort: shape.tls ? ports.tlsPort : undefined, workers: availableParallelism() },
      ...{ root: process.getuid?.() === 0, responseMs: responseTimeoutMs, trustedProxies },
      ...{
        locations: shape.locations,
        bodies: shape.bodies,
        stream: streamText(shape.tcp, address, join(this.#files.lua, 'tcp.js')),
      },
    });
    const modules = join(this.#files.lua, 'paas');
    mkdirSync(modules, { recursive: true, mode: 0o700 });
    const lua = { ...luaFiles, 'pages.lua': pagesLua(), 'settings.lua': configuration.settings };
    for (const [name, text] of Object.entries(lua)) writeFileSync(join(modules, name), text, { mode: 0o600 });
    writeFileSync(join(this.#files.lua, 'tcp.js'), tcpJs(this.#files.tcp), { mode: 0o600 });
    writeFileSync(this.#files.configuration, configuration.text, { mode: 0o600 });
    return configuration;
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
