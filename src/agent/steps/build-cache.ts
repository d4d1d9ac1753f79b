/**
 * What builds of one project keep on a host, never across projects:
 *
 *   <project>/shared/<name>/        caches of package managers, written by the builds themselves
 *   <project>/trash/                a shared cache that is being removed
 *   <project>/keys/<sha256>.json    directories kept under a cache key, as trees in the host's store
 *
 * Least recently used keys go first when their trees exceed the limit; a shared cache that exceeds its own is emptied.
 */
import { createHash } from 'node:crypto';
import { chownSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync, type Dirent } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { digest } from '../../shared/contracts/instances.ts';
import { errnoOf, PaasError } from '../../shared/errors.ts';
import { readJsonFile, writeDurably } from '../../shared/files.ts';
import { errorFields, type Log } from '../log.ts';
import { removeTree } from '../remove-tree.ts';
import type { Owner } from '../runtimes/port.ts';
import { relativeSegments } from './build-paths.ts';

const keyFile = z.object({
  key: z.string(),
  /** Path in the app -> tree; null: the command made no such directory. */
  trees: z.record(z.string(), z.nullable(digest)),
  bytes: z.number(),
});
export type CachedDirectories = z.infer<typeof keyFile>;

export interface BuildCacheLimits {
  /** Bytes of trees under cache keys, all projects together. */
  keyedBytes: number;
  /** Bytes of one shared cache. */
  sharedBytes: number;
}

export const defaultCacheLimits: BuildCacheLimits = { keyedBytes: 4 * 2 ** 30, sharedBytes: 2 * 2 ** 30 };

const hash = (text: string) => createHash('sha256').update(text).digest('hex');
const plain = /^[a-z0-9][a-z0-9_-]{0,62}$/;

export class BuildCache {
  readonly #dir: string;
  readonly #limits: BuildCacheLimits;
  readonly #log: Log;

  constructor(dir: string, log: Log, limits: BuildCacheLimits = defaultCacheLimits) {
    this.#dir = dir;
    this.#limits = limits;
    this.#log = log;
  }

  /** What is kept under a key; marks it as used. */
  get(project: string, key: string): CachedDirectories | undefined {
    const path = this.#keyPath(project, key);
    try {
      const found = readJsonFile(path, keyFile);
      if (found?.key !== key) return undefined;
      utimesSync(path, new Date(), new Date());
      return found;
    } catch (error) {
      if (!(error instanceof PaasError && error.code === 'corrupt')) throw error;
      rmSync(path, { force: true });
      return undefined;
    }
  }

  put(project: string, kept: CachedDirectories): void {
    for (const path of Object.keys(kept.trees)) relativeSegments(path);
    mkdirSync(join(this.#dir, projectName(project), 'keys'), { recursive: true, mode: 0o711 });
    writeDurably(this.#keyPath(project, kept.key), JSON.stringify(kept));
    this.#evict();
  }

  drop(project: string, key: string): void {
    rmSync(this.#keyPath(project, key), { force: true });
  }

  /** Trees that the store must keep. */
  roots(): string[] {
    return this.#keys().flatMap(({ kept }) => Object.values(kept.trees).filter((tree) => tree !== null));
  }

  /** A directory for a package manager's own cache, writable for the project's builds. */
  shared(project: string, name: string, owner: Owner): string {
    if (!plain.test(name)) throw new PaasError('bad_request', `${JSON.stringify(name)} is not a name of a cache`);
    const directory = join(this.#dir, projectName(project), 'shared', name);
    mkdirSync(directory, { recursive: true, mode: 0o711 });
    if (owner && statSync(directory).uid !== owner.uid) chownSync(directory, owner.uid, owner.gid);
    return directory;
  }

  /** Empties shared caches of a project that grew too large. Not while one of its builds runs. */
  async trimShared(project: string): Promise<void> {
    const root = join(this.#dir, projectName(project), 'shared');
    const trash = join(this.#dir, projectName(project), 'trash');
    await removeTree(trash); // what an earlier agent began
    for (const entry of entriesOf(root)) {
      const directory = join(root, entry.name);
      if ((await sizeOf(directory, this.#limits.sharedBytes)) <= this.#limits.sharedBytes) continue;
      this.#log.info('emptied a build cache that grew too large', { project, cache: entry.name });
      // Renamed first, so that a half-removed one is never taken for whole.
      renameSync(directory, trash);
      await removeTree(trash);
    }
  }

  #evict(): void {
    const keys = this.#keys().sort((a, b) => b.usedMs - a.usedMs);
    let total = 0;
    for (const { path, kept } of keys) {
      total += kept.bytes;
      if (total > this.#limits.keyedBytes) rmSync(path, { force: true });
    }
  }

  #keys(): { path: string; kept: CachedDirectories; usedMs: number }[] {
    return entriesOf(this.#dir).flatMap((project) => {
      const keys = join(this.#dir, project.name, 'keys');
      return entriesOf(keys)
        .filter(({ name }) => name.endsWith('.json'))
        .flatMap(({ name }) => {
          const path = join(keys, name);
          try {
            const kept = readJsonFile(path, keyFile);
            return kept ? [{ path, kept, usedMs: statSync(path).mtimeMs }] : [];
          } catch (error) {
            this.#log.warn('a build cache entry cannot be read; it is not used', errorFields(error));
            return [];
          }
        });
    });
  }

  #keyPath(project: string, key: string): string {
    return join(this.#dir, projectName(project), 'keys', `${hash(key)}.json`);
  }
}

const projectName = (project: string) => (plain.test(project) ? project : hash(project));

function entriesOf(directory: string): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Bytes of the files below a directory; counting ends once `enough` is exceeded. */
async function sizeOf(directory: string, enough: number): Promise<number> {
  let total = 0;
  const directories = [directory];
  for (let at = directories.pop(); at !== undefined && total <= enough; at = directories.pop()) {
    for await (const entry of await opendir(at)) {
      const path = join(at, entry.name);
      if (entry.isDirectory()) directories.push(path);
      else if (entry.isFile()) total += statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    }
  }
  return total;
}
