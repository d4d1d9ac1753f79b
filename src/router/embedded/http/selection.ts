/** To which of an app's endpoints a request may go, by the app's gray rules. Apps without rules never come here. */
import { isIP } from 'node:net';
import { compileRules, type Asker, type Choose } from '../../../shared/gray/choose.ts';
import type { RegionsOf } from '../../../shared/gray/regions.ts';
import { cookieOf, readShare, shareCookie, shareOfAddress } from '../../../shared/gray/sticky.ts';
import type { Gray } from '../../../shared/contracts/routes.ts';
import type { LiveEndpoint } from '../endpoints.ts';
import { eachField } from './grammar.ts';

export interface Selection {
  endpoints: readonly LiveEndpoint[];
  /** Field line to be added to the response. */
  setCookie?: string;
}

/** An app's rules with its endpoints sorted by what rules lead to. */
export class GrayRelease {
  readonly #appId: string;
  readonly #key: Buffer;
  readonly #choose: Choose;
  readonly #regions: RegionsOf;
  readonly #named = new Map<number, LiveEndpoint[]>();
  /** Those that get what no rule is about: of all releases that are not beside the stable one. */
  readonly #others: LiveEndpoint[] = [];
  readonly #all: readonly LiveEndpoint[];

  /** @throws PaasError `usage` for a pattern that is refused */
  constructor(
    appId: string,
    { releases, rules }: Gray,
    endpoints: readonly LiveEndpoint[],
    key: Buffer,
    regions: RegionsOf = () => [],
  ) {
    this.#appId = appId;
    this.#regions = regions;
    this.#key = key;
    this.#choose = compileRules(rules);
    const beside = new Set(releases);
    for (const release of [...releases, ...rules.map((rule) => rule.release)]) this.#named.set(release, []);
    for (const endpoint of endpoints) {
      this.#named.get(endpoint.release)?.push(endpoint);
      if (!beside.has(endpoint.release)) this.#others.push(endpoint);
    }
    this.#all = endpoints;
  }

  /**
   * @param fields the request's field lines
   * @param address the client's
   */
  select(fields: string, address: string): Selection {
    const asker = new RequestAsker(fields, address, this.#appId, this.#key, this.#regions);
    const chosen = this.#choose(asker);
    const endpoints = (chosen && this.#named.get(chosen.release)) ?? this.#others;
    // A version that is not there must not take the app away from those who were meant to get it.
    return { endpoints: endpoints.length > 0 ? endpoints : this.#rest(), setCookie: asker.setCookie };
  }

  #rest(): readonly LiveEndpoint[] {
    return this.#others.length > 0 ? this.#others : this.#all;
  }
}

class RequestAsker implements Asker {
  readonly address: string;
  setCookie = '';
  readonly #fields: string;
  readonly #appId: string;
  readonly #key: Buffer;
  readonly #regionsOf: RegionsOf;
  #share: number | null = null;

  constructor(fields: string, address: string, appId: string, key: Buffer, regions: RegionsOf) {
    this.#fields = fields;
    this.#regionsOf = regions;
    this.#appId = appId;
    this.#key = key;
    this.address = isIP(address) === 0 ? '0.0.0.0' : address;
  }

  header(name: string): string | undefined {
    let value: string | undefined;
    eachField(this.#fields, (field, line) => {
      if (field !== name) return;
      const own = line.slice(name.length + 1).trim();
      value = value === undefined ? own : `${value}, ${own}`;
    });
    return value;
  }

  cookie(name: string): string | undefined {
    for (const pair of this.header('cookie')?.split(/[;,]/) ?? []) {
      const equals = pair.indexOf('=');
      if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim();
    }
    return undefined;
  }

  regions(): readonly string[] {
    return this.#regionsOf(this.address);
  }

  share(): number {
    if (this.#share !== null) return this.#share;
    const cookie = this.cookie(cookieOf(this.#appId));
    const known = cookie === undefined ? null : readShare(this.#key, this.#appId, cookie);
    this.#share = known ?? shareOfAddress(this.#key, this.#appId, this.address);
    if (known === null) this.setCookie = `Set-Cookie: ${shareCookie(this.#key, this.#appId, this.#share)}\r\n`;
    return this.#share;
  }
}
