/** The table on its way into nginx: as records on disk and, by what changed, into shared memory. */
import { readFileSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { latencyBounds, type RouteTable, type TrafficCount } from '../../shared/contracts/routes.ts';
import { errnoOf, PaasError } from '../../shared/errors.ts';
import { askNginx, readStatus, unreachable, type CounterLine, type NginxStatus } from './admin.ts';
import type { Instance } from './instance.ts';
import { maxCounters, type NginxFiles } from './layout.ts';
import { afterBlanks, countedOf, counterName, difference, formatRecords, newCounted, parseRecords } from './records.ts';
import { toRecords, type Counted, type Records } from './records.ts';

export class TableKeeper {
  readonly #files: NginxFiles;
  /** What nginx was given last; null: unknown. Read from disk by a new agent. */
  #records: Records | null = null;
  #counted: Counted | null = null;
  /** Slots and counters that the table names, as of the last one. */
  #used = new Set<string>();
  #problem: string | null = null;
  /** Of the last status: slots with something under way. */
  #busy = new Set<number>();

  constructor(files: NginxFiles) {
    this.#files = files;
  }

  /** What is counted under which number, as of the last table. */
  get counted(): Counted {
    if (!this.#counted) this.#load();
    return this.#counted!;
  }

  async put(table: RouteTable, instance: Instance): Promise<NginxStatus> {
    const counted = this.counted;
    const status = await instance.status();
    this.#busy = new Set(status.open.keys());
    this.#forget(table);
    const fresh: number[] = [];
    const records = toRecords(table, counted, { tlsPort: undefined, location: () => undefined }, fresh);
    records.set('generation', String(status.generation + 1));
    await this.#save(records);
    const after = await this.#send(records, fresh, status);
    this.#records = records;
    return after;
  }

  /** Differences where nginx is known to have the last records, else everything. */
  async #send(records: Records, fresh: readonly number[], status: NginxStatus): Promise<NginxStatus> {
    const { socket } = this.#files;
    const reset = fresh.map((slot) => `0${slot}\n`).join('');
    const known = this.#records?.get('generation') === String(status.generation) ? this.#records : null;
    let answer = { status: 409, text: '' };
    if (known) {
      answer = await askNginx(socket, `PUT /table?base=${status.generation}`, reset + difference(known, records));
    }
    if (answer.status === 409) answer = await askNginx(socket, 'PUT /table', reset + difference(null, records));
    if (answer.status === 507) {
      throw new PaasError('too_large', "The route table does not fit into nginx's memory.", {
        hint: 'Spread the apps over more than one platform.',
      });
    }
    if (answer.status !== 200) throw unreachable(socket, `status ${answer.status} to a table`);
    return readStatus(answer.text);
  }

  /** Instances with something under way, also those that are no longer in the table. */
  open(slots: ReadonlyMap<number, number>): Record<string, number> {
    const open: Record<string, number> = {};
    for (const [name, slot] of this.counted.slots.entries()) {
      const count = slots.get(slot);
      const instance = afterBlanks(name, 2);
      if (count !== undefined) open[instance] = (open[instance] ?? 0) + count;
    }
    return open;
  }

  instances(slots: readonly number[]): string[] {
    const wanted = new Set(slots);
    const found = [...this.counted.slots.entries()].filter(([, slot]) => wanted.has(slot));
    return found.map(([name]) => afterBlanks(name, 2));
  }

  openByRelease(_slots: ReadonlyMap<number, number>): Map<number, number> {
    return new Map();
  }

  named(lines: readonly CounterLine[], open: ReadonlyMap<number, number>): TrafficCount[] {
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

  problems(): string[] {
    return this.#problem === null ? [] : [this.#problem];
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

  /** Gives back numbers of endpoints that are in neither table and drained, and of releases while they are too many. */
  #forget(_table: RouteTable): void {
    void this.#used;
    void this.#busy;
    void maxCounters;
    void counterName;
  }

  /**
   * On disk before it is in force. A disk that takes nothing is a problem in the status, not a reason to route to
   * instances that are gone.
   */
  async #save(records: Records): Promise<void> {
    try {
      await replace(this.#files.table, formatRecords(records));
      this.#problem = null;
    } catch (error) {
      this.#problem = `the route table could not be saved: ${errnoOf(error) ?? String(error)}`;
    }
  }
}

/** As one step that survives a power cut, without stopping the agent until the disk is done. */
async function replace(path: string, text: string): Promise<void> {
  const temporary = `${path}.tmp`;
  const file = await open(temporary, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  const directory = await open(dirname(path), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
