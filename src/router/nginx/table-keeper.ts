/** The table on its way into nginx: as records on disk and, by what changed, into shared memory. */
import { readFileSync } from 'node:fs';
import {
  latencyBounds,
  type Backend,
  type Certificate,
  type RouteTable,
  type TrafficCount,
} from '../../shared/contracts/routes.ts';
import { errnoOf, PaasError } from '../../shared/errors.ts';
import { replaceDurably } from '../../shared/files.ts';
import { callSocket, unreachable } from '../control-socket.ts';
import { contextOf } from '../requirements.ts';
import { readStatus, type CounterLine, type NginxStatus } from './admin.ts';
import { saveFirst } from './first-certificate.ts';
import type { Instance } from './instance.ts';
import { maxCounters, type NginxFiles } from './layout.ts';
import {
  afterBlanks,
  countedOf,
  counterName,
  difference,
  formatRecords,
  newCounted,
  parseRecords,
  slotName,
  toRecords,
  type Counted,
  type Records,
} from './records.ts';
import { Regions } from './regions.ts';
import { beside, common, shapeOf, type Shape } from './shape.ts';
import { openConnections } from './stream.ts';
import { writeTcpFiles } from './tcp-files.ts';

export class TableKeeper {
  readonly #files: NginxFiles;
  /** What nginx was given last; null: unknown. Read from disk by a new agent. */
  #records: Records | null = null;
  #counted: Counted | null = null;
  readonly #releases = new Map<number, number>();
  /** The records that `#releases` has taken up. */
  #indexed: Records | null = null;
  /** What of the table, of its TCP routes and of its certificates is not on disk. */
  #unsaved: { table: string | null; tcp: string | null; certificate: string | null } = {
    table: null,
    tcp: null,
    certificate: null,
  };
  /** The last table's certificates, and why one cannot be used. */
  #tried: ReadonlyMap<string, string | null> = new Map();
  readonly regions: Regions;
  /** What the last table used: a request on its way to an instance may not be counted yet. */
  #last = new Set<string>();
  /** Of the last table; null: that of another agent. */
  #shape: Shape | null = null;

  constructor(files: NginxFiles) {
    this.#files = files;
    this.regions = new Regions(files.regions);
  }

  /** What is counted under which number, as of the last table. */
  get counted(): Counted {
    if (!this.#counted) this.#load();
    return this.#counted!;
  }

  async put(given: RouteTable, instance: Instance): Promise<NginxStatus> {
    const counted = this.counted;
    const table = { ...given, certificates: this.#usable(given.certificates ?? []) };
    await this.regions.use(table);
    const [first] = table.certificates;
    this.#unsaved.certificate = first ? saved('the certificate', () => saveFirst(this.#files.tls, first)) : null;
    this.#unsaved.tcp = saved('TCP routes', () => writeTcpFiles(this.#files.tcp, table));
    const shape = shapeOf(table);
    // Locations of apps' own are there before a request is sent to them, and until none is.
    await instance.reshape(beside(shape, common(instance.shape, this.#shape ?? instance.shape)));
    const status = await instance.status();
    this.#forget(table, new Set(this.underWay(status.open, instance).keys()));
    const fresh: number[] = [];
    const around = {
      tlsPort: instance.tlsPort,
      regions: this.regions.copy,
      location: (backend: Backend) => instance.location(backend),
    };
    const records = toRecords(table, counted, around, fresh);
    fresh.push(...this.#pardoned(table, status.ejected));
    records.set('generation', String(status.generation + 1));
    await this.#save(records);
    const after = await this.#send(records, fresh, status);
    this.#records = records;
    this.#shape = shape;
    return after;
  }

  /** Each is tried once, as long as the table has it: a table comes with every instance that starts. */
  #usable(certificates: readonly Certificate[]): Certificate[] {
    const before = this.#tried;
    const tried = new Map<string, string | null>();
    this.#tried = tried;
    return certificates.filter((certificate) => {
      const content = JSON.stringify(certificate);
      const known = before.get(content);
      const problem = known === undefined ? problemOf(certificate) : known;
      tried.set(content, problem);
      return problem === null;
    });
  }

  /** Differences where nginx is known to have the last records, else everything. */
  async #send(records: Records, fresh: readonly number[], status: NginxStatus): Promise<NginxStatus> {
    const { socket } = this.#files;
    const reset = fresh.map((slot) => `0${slot}\n`).join('');
    const known = this.#records?.get('generation') === String(status.generation) ? this.#records : null;
    let answer = { status: 409, text: '' };
    if (known) {
      answer = await callSocket(socket, `PUT /table?base=${status.generation}`, reset + difference(known, records));
    }
    if (answer.status === 409) answer = await callSocket(socket, 'PUT /table', reset + difference(null, records));
    if (answer.status === 507) {
      throw new PaasError('too_large', "The route table does not fit into nginx's memory.", {
        hint: 'Spread the apps over more than one platform.',
      });
    }
    if (answer.status !== 200) throw unreachable(socket, `status ${answer.status} to a table`);
    return readStatus(answer.text);
  }

  /** What is open by slot, TCP connections added: nginx's stream module counts none, so the system is asked. */
  underWay(http: ReadonlyMap<number, number>, instance: Instance): ReadonlyMap<number, number> {
    const { slots, tcp } = this.counted;
    if (tcp.size === 0) return http;
    const places = new Map<string, number>();
    for (const [name, slot] of slots.entries()) {
      if (tcp.has(slot)) places.set(name.split(' ', 2).join(':'), slot);
    }
    const open = new Map(http);
    for (const [place, count] of openConnections(() => instance.workers(), new Set(places.keys()))) {
      const slot = places.get(place);
      if (slot !== undefined) open.set(slot, (open.get(slot) ?? 0) + count);
    }
    return open;
  }

  /** Instances with something under way, also those that are no longer in the table. */
  open(slots: ReadonlyMap<number, number>): Record<string, number> {
    const open: Record<string, number> = {};
    if (slots.size === 0) return open;
    for (const [name, slot] of this.counted.slots.entries()) {
      const count = slots.get(slot);
      if (count === undefined) continue;
      const instance = afterBlanks(name, 2);
      open[instance] = (open[instance] ?? 0) + count;
    }
    return open;
  }

  instances(slots: readonly number[]): string[] {
    if (slots.length === 0) return [];
    const wanted = new Set(slots);
    const found = [...this.counted.slots.entries()].filter(([, slot]) => wanted.has(slot));
    return found.map(([name]) => afterBlanks(name, 2));
  }

  /** @param open requests under way by slot */
  named(lines: readonly CounterLine[], slots: ReadonlyMap<number, number>): TrafficCount[] {
    const open = this.#byCounter(slots);
    const byCounter = new Map(lines.map((line) => [line.counter, line]));
    const counts: TrafficCount[] = [];
    for (const [name, counter] of this.counted.counters.entries()) {
      const line = byCounter.get(counter);
      const now = open.get(counter) ?? 0;
      if (!line && now === 0) continue;
      const { classes, latency } = line ?? { classes: [0, 0, 0, 0, 0], latency: latencyBounds.concat(0).fill(0) };
      counts.push({ appId: afterBlanks(name, 1), release: Number(name.split(' ', 1)[0]), classes, latency, open: now });
    }
    return counts;
  }

  /** Endpoints' open requests summed up by release, as of the last table. */
  #byCounter(slots: ReadonlyMap<number, number>): Map<number, number> {
    const open = new Map<number, number>();
    if (slots.size === 0) return open;
    for (const [slot, counter] of this.#counterOf()) {
      const count = slots.get(slot);
      if (count !== undefined) open.set(counter, (open.get(counter) ?? 0) + count);
    }
    return open;
  }

  /** The release of each slot; a slot that left the table keeps what it was. */
  #counterOf(): Map<number, number> {
    if (this.#records !== this.#indexed) {
      for (const [key, value] of this.#records ?? []) {
        if (!key.startsWith('b:')) continue;
        for (const [, slot, counter] of value.matchAll(/\["slot"\]=(\d+),\["counter"\]=(\d+),/g)) {
          this.#releases.set(Number(slot), Number(counter));
        }
      }
      this.#indexed = this.#records;
    }
    return this.#releases;
  }

  problems(): string[] {
    const unsaved = Object.values(this.#unsaved).flatMap((problem) => problem ?? []);
    return [...unsaved, ...[...this.#tried.values()].filter((problem) => problem !== null), ...this.regions.problems()];
  }

  #load(): void {
    let text = '';
    try {
      text = readFileSync(this.#files.table, 'utf8');
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
    this.#records = parseRecords(text);
    this.#counted = this.#records ? countedOf(this.#records) : newCounted();
  }

  /**
   * Gives back numbers of endpoints that are not in the table and have nothing under way, and of releases while there
   * are too many.
   */
  #forget(table: RouteTable, busy: ReadonlySet<number>): void {
    const { slots, counters, tcp } = this.counted;
    const used = new Set<string>();
    for (const { appId, endpoints } of Object.values(table.backends)) {
      for (const { instance, address, port, release } of endpoints) {
        used.add(slotName(instance, address, port));
        used.add(counterName(appId, release));
      }
    }
    for (const [name, slot] of [...slots.entries()]) {
      if (used.has(name) || busy.has(slot) || this.#last.has(name)) continue;
      slots.release(name);
      tcp.delete(slot);
    }
    this.#last = used;
    let excess = counters.size - maxCounters / 2;
    for (const [name] of [...counters.entries()]) {
      if (excess-- <= 0) break;
      if (!used.has(name)) counters.release(name);
    }
  }

  /** Slots that are ejected although by now more than half of their app's would be. */
  #pardoned(table: RouteTable, ejected: readonly number[]): number[] {
    if (ejected.length === 0) return [];
    const out = new Set(ejected);
    return Object.values(table.backends).flatMap(({ endpoints }) => {
      const slots = endpoints.flatMap(
        ({ instance, address, port }) => this.counted.slots.take(slotName(instance, address, port))?.number ?? [],
      );
      const own = slots.filter((slot) => out.has(slot));
      return own.length * 2 > slots.length ? own : [];
    });
  }

  /**
   * On disk before it is in force. A disk that takes nothing is a problem in the status, not a reason to route to
   * instances that are gone.
   */
  async #save(records: Records): Promise<void> {
    try {
      await replaceDurably(this.#files.table, formatRecords(records));
      this.#unsaved.table = null;
    } catch (error) {
      this.#unsaved.table = `the route table could not be saved: ${errnoOf(error) ?? String(error)}`;
    }
  }
}

function problemOf(certificate: Certificate): string | null {
  const made = contextOf(certificate);
  return 'problem' in made ? made.problem : null;
}

/** A disk that takes nothing is told, and keeps nothing else from being done. */
function saved(what: string, write: () => void): string | null {
  try {
    write();
    return null;
  } catch (error) {
    return `${what} could not be saved: ${errnoOf(error) ?? String(error)}`;
  }
}
