/** The region database of the route table: read when a rule needs it, and again when its file changes. */
import type { RouteTable } from '../../shared/contracts/routes.ts';
import { fileStamp, needsRegions, openRegions, type RegionsOf } from '../../shared/gray/regions.ts';

/** Databases come out once or twice a week. */
const lookMs = 5000;
/** A disk that does not answer must not keep a table from being taken up. */
const patienceMs = 2000;

const nowhere: RegionsOf = () => [];

export class Regions {
  #path: string | null = null;
  #find: RegionsOf = nowhere;
  #problem: string | null = null;
  /** The file as it was read last, well or badly. */
  #seen = '';
  #reading: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;

  /** Where a client is. */
  readonly of: RegionsOf = (address) => this.#find(address);

  /** Follows a table; answers when its database is there, or known not to be, or takes too long. */
  async use(table: Pick<RouteTable, 'backends' | 'regions'>): Promise<void> {
    const path = needsRegions(table) ? (table.regions ?? null) : null;
    if (path !== this.#path) {
      this.#path = path;
      this.#find = nowhere;
      this.#problem = null;
      this.#seen = '';
      // One that is under way reads another file.
      this.#reading = null;
    }
    if (path === null) {
      this.close();
      return;
    }
    this.#timer ??= setInterval(() => void this.#look(), lookMs).unref();
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => (timer = setTimeout(resolve, patienceMs)));
    await Promise.race([this.#look(), patience]);
    clearTimeout(timer);
  }

  problems(): string[] {
    return this.#problem === null ? [] : [this.#problem];
  }

  close(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
  }

  #look(): Promise<void> {
    const path = this.#path;
    if (path === null) return Promise.resolve();
    const reading = (this.#reading ??= this.#read(path).finally(() => {
      if (this.#reading === reading) this.#reading = null;
    }));
    return reading;
  }

  /** While a new database cannot be read, the last one stays. */
  async #read(path: string): Promise<void> {
    const isPresent = () => this.#path === path;
    try {
      const seen = await fileStamp(path);
      if (!isPresent() || seen === this.#seen) return;
      this.#seen = seen;
      const find = await openRegions(path);
      if (!isPresent()) return;
      this.#find = find;
      this.#problem = null;
    } catch (error) {
      if (isPresent()) this.#problem = `rules by region: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
}
