/**
 * The region database of the route table, for nginx: checked here, and copied to where nobody changes it. nginx's workers
 * map the copy into their memory, which a file that shrinks in place would end them for.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RouteTable } from '../../shared/contracts/routes.ts';
import { fileStamp, needsRegions, readRegions } from '../../shared/gray/regions.ts';

/** Where nginx finds the database, and its form: nodes of two records of `size` bits, for addresses of `version`. */
export type RegionCopy = { path: string; bytes: number; nodes: number; size: number; version: number };

/** Databases come out once or twice a week. */
const lookMs = 2000;

export class Regions {
  readonly #directory: string;
  #path: string | null = null;
  /** The file as it was read last, well or badly. */
  #seen = '';
  #copy: RegionCopy | undefined;
  #problem: string | null = null;
  #lookedAt = 0;

  /** @param directory the copies' own */
  constructor(directory: string) {
    this.#directory = directory;
  }

  get copy(): RegionCopy | undefined {
    return this.#copy;
  }

  problems(): string[] {
    return this.#problem === null ? [] : [this.#problem];
  }

  /** Follows a table; while a new database cannot be read, the last one stays. */
  async use(table: Pick<RouteTable, 'backends' | 'regions'>): Promise<void> {
    const path = needsRegions(table) ? (table.regions ?? null) : null;
    if (path !== this.#path) {
      this.#path = path;
      this.#seen = '';
      this.#copy = undefined;
      this.#problem = null;
    }
    this.#lookedAt = Date.now();
    if (path === null) return;
    const seen = await fileStamp(path);
    if (seen === this.#seen) return;
    this.#seen = seen;
    try {
      this.#copy = await this.#take(path, seen);
      this.#problem = null;
    } catch (error) {
      this.#problem = `rules by region: ${error instanceof Error ? error.message : String(error)}`;
    }
  }

  /** The file is not what it was when a table came last. Looks at it every 2 s at most. */
  async changed(): Promise<boolean> {
    if (this.#path === null || Date.now() - this.#lookedAt < lookMs) return false;
    this.#lookedAt = Date.now();
    const [path, before] = [this.#path, this.#seen];
    return (await fileStamp(path)) !== before && path === this.#path;
  }

  async #take(path: string, seen: string): Promise<RegionCopy> {
    const { bytes, layout } = await readRegions(path);
    const name = `${createHash('sha256').update(`${path} ${seen}`).digest('hex').slice(0, 16)}.mmdb`;
    const copy = join(this.#directory, name);
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    await writeFile(`${copy}.new`, bytes, { mode: 0o600 });
    await rename(`${copy}.new`, copy);
    // Workers that still use another one have it in their memory.
    for (const other of await readdir(this.#directory)) {
      if (other !== name) await rm(join(this.#directory, other), { force: true });
    }
    return { path: copy, bytes: bytes.length, ...layout };
  }
}
