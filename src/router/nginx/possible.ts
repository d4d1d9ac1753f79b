/** What of a shape nginx can have: it takes a configuration whole or not at all, so what it would refuse is left out. */
import { errnoOf, PaasError } from '../../shared/errors.ts';
import type { RouterConfig } from '../port.ts';
import { firstProblem } from './first-certificate.ts';
import { choosePort, portProblem, tryPort } from './ports.ts';
import { findNginx, streamMissing } from './programs.ts';
import type { Location, Shape } from './shape.ts';
import { trySnippet } from './snippet.ts';

/** What a living nginx has already. */
export interface Present {
  /** Names of apps' own locations. */
  locations: ReadonlySet<string>;
  /** Ports that it listens on. */
  ports: ReadonlySet<number>;
}
export const nothingPresent: Present = { locations: new Set(), ports: new Set() };

export interface Possible {
  shape: Shape;
  /** For RouterStatus: what is left out, and why. */
  problems: string[];
  /** Where to listen for TLS, while that is in the shape. */
  tlsPort: number | undefined;
}

export class Possibilities {
  readonly #config: RouterConfig;
  readonly #certificates: string;
  /** Apps' own locations that nginx was asked about. */
  readonly #tried = new Map<string, string | null>();

  /** @param certificates directory of those that nginx's configuration names */
  constructor(config: RouterConfig, certificates: string) {
    this.#config = config;
    this.#certificates = certificates;
  }

  /** @param last where TLS was listened for last */
  async of(wanted: Shape, present: Present, last: { port: number; tlsPort?: number | undefined }): Promise<Possible> {
    const problems: string[] = [];
    const taken = [last.port, ...(wanted.tls ? [last.tlsPort] : [])];
    const tcp = await this.#tcp(wanted, (port) => present.ports.has(port) && !taken.includes(port), problems);
    const tlsPort = wanted.tls ? await this.#tls(present, last.tlsPort, problems) : undefined;
    const locations: Location[] = [];
    for (const one of wanted.locations) {
      const why = present.locations.has(one.name) ? null : await this.#flaw(one);
      if (why === null) locations.push(one);
      else problems.push(`the nginx configuration of ${one.app} is left out: ${why}`);
    }
    return { shape: { tls: tlsPort !== undefined, tcp, locations, bodies: wanted.bodies }, problems, tlsPort };
  }

  async #tcp({ tcp }: Shape, isOwn: (port: number) => boolean, problems: string[]): Promise<number[]> {
    if (tcp.length > 0 && !findNginx().stream) {
      problems.push(streamMissing);
      return [];
    }
    const { address } = this.#config;
    const free: number[] = [];
    for (const port of tcp) {
      const problem = isOwn(port) ? null : (await tryPort(address, port)).problem;
      if (problem === null) free.push(port);
      else problems.push(`TCP port ${port} on ${address}: ${problem}`);
    }
    return free;
  }

  async #tls({ ports }: Present, last: number | undefined, problems: string[]): Promise<number | undefined> {
    const { address, tlsPort: wanted } = this.#config;
    if (wanted === undefined) return undefined;
    const damaged = firstProblem(this.#certificates);
    if (damaged !== null) {
      problems.push(damaged);
      return undefined;
    }
    if (last !== undefined && ports.has(last) && (wanted === 0 || wanted === last)) return last;
    try {
      return await choosePort(address, wanted, last);
    } catch (error) {
      if (!(error instanceof PaasError)) throw error;
      problems.push(portProblem(error, wanted));
      return undefined;
    }
  }

  /** Why a location cannot be had; each is tried by itself once, so that a bad one takes no other down. */
  async #flaw({ name, snippet, h2c }: Location): Promise<string | null> {
    let why = this.#tried.get(name);
    if (why === undefined) {
      try {
        const found = await trySnippet(snippet, this.#config.run, h2c);
        why = found.length === 0 ? null : found.map(({ line, message }) => `line ${line}: ${message}`).join('; ');
      } catch (error) {
        // Not for ever: there may be room on the disk later.
        if (!(error instanceof PaasError)) throw error;
        return `${error.message} (${errnoOf(error.cause) ?? String(error.cause)})`;
      }
      this.#tried.set(name, why);
    }
    return why;
  }
}
