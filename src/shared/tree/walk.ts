/**
 * Walks a directory and hashes it into a tree. What a cache knows to be unchanged is neither read nor encoded again: the
 * cost of an unchanged source is one lstat an entry.
 *
 * The traversal is synchronous, in a generator that yields every few milliseconds of work; `walkTree` lets the event
 * loop run there. When something changed while it was being read, the whole is walked again, with what the first pass
 * learned as its cache.
 */
import { lstatSync, readlinkSync, type Stats } from 'node:fs';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { PaasError } from '../errors.ts';
import { decodeDirectory, encodeDirectory, type TreeEntry } from './directory.ts';
import { hashFile } from './hash-file.ts';
import { sha256 } from './hash.ts';
import { linkProblem } from './links.ts';
import { everything, listDirectory, rulesWithin, type Listing, type WalkRules } from './listing.ts';
import { reasonOf, throwChanged, throwRefused, type RefusedPath } from './problems.ts';
import { isKnown, letterOf, makeRecord, sameListing } from './walk-cache.ts';
import type { DirectoryRecord, SeenEntry, WalkCache } from './walk-cache.ts';

export interface WalkOptions {
  /** Which entries belong to the source; default all. */
  rules?: WalkRules;
  cache?: WalkCache;
  /** `inside` (default) refuses symbolic links that point out of the tree; build outputs may point into the base image. */
  links?: 'inside' | 'any';
  /** Keep up to this many bytes of file content that had to be read, so that an upload need not read it again. */
  retainBytes?: number;
  signal?: AbortSignal;
  /** Called now and then with what has been seen so far. */
  onProgress?: (files: number, hashedBytes: number) => void;
}

export interface WalkedTree {
  /** Absolute path of the directory that was walked. */
  base: string;
  /** Digest of the root's directory object. */
  root: string;
  /** All directories, children before their parents; the root is last. */
  directories: DirectoryRecord[];
  /** Files and links. */
  files: number;
  /** Bytes of file content. */
  bytes: number;
  /** Bytes that had to be read. */
  hashedBytes: number;
  /** Whether `directories` says more than the cache did. */
  learned: boolean;
  /** Content by digest, as far as `retainBytes` allowed. */
  contents: Map<string, Buffer>;
}

const sliceMs = 30;
/** Content is kept in pieces of this size: a buffer for each small file would be work for the garbage collector. */
const slabBytes = 4 * 1024 * 1024;
const walks = 5;

/**
 * @param base absolute path of a directory
 * @throws PaasError `source_invalid` that names all paths that cannot be packaged, `source_changed` that names the files
 *   that changed whenever they were read, `interrupted` when the signal fires
 */
export async function walkTree(base: string, options: WalkOptions = {}): Promise<WalkedTree> {
  let cache = options.cache;
  for (let attempt = 1; ; attempt++) {
    const walk = new Walk(base, options, cache);
    const pass = walk.run();
    while (pass.next().done !== true) {
      options.onProgress?.(walk.tree.files, walk.tree.hashedBytes);
      await setImmediate();
      if (options.signal?.aborted)
        throw new PaasError('interrupted', 'Interrupted while the source was being read.', { hint: '' });
    }
    throwRefused(walk.refused);
    if (attempt > 1) walk.tree.learned = true;
    if (walk.changed.length === 0) return walk.tree;
    if (attempt === walks) throwChanged(walk.changed, walks);
    cache = new Map(walk.tree.directories.map((record) => [record.path, record]));
    await setTimeout(50 * attempt);
  }
}

/** One pass over the source. */
class Walk {
  readonly tree: WalkedTree;
  readonly refused: RefusedPath[] = [];
  /** Paths that changed while they were being read. */
  readonly changed: string[] = [];
  readonly #options: WalkOptions;
  readonly #cache: WalkCache | undefined;
  readonly #startedAt = Date.now();
  #retained = 0;
  #slab = Buffer.alloc(0);
  #yieldedAt = performance.now();

  constructor(base: string, options: WalkOptions, cache: WalkCache | undefined) {
    this.#options = options;
    this.#cache = cache;
    const counts = { files: 0, bytes: 0, hashedBytes: 0 };
    this.tree = { base, root: '', directories: [], ...counts, learned: false, contents: new Map() };
  }

  *run(): Generator<void, void> {
    const root = yield* this.#directory('', lstatSync(this.tree.base), this.#options.rules ?? everything);
    this.tree.root = root.digest;
  }

  /** Visits a directory and all below. Returns the cache's own record where nothing changed. */
  *#directory(path: string, stat: Stats, outer: WalkRules): Generator<void, DirectoryRecord> {
    if (performance.now() - this.#yieldedAt > sliceMs) yield* this.#rest();
    const cached = this.#cache?.get(path);
    const changesBefore = this.changed.length;
    const { names, rules, ownRules } = this.#list(path, stat, outer, cached);
    const sameNames = names === cached?.names;
    const places = sameNames ? undefined : new Map(cached?.names.map((name, place) => [name, place]));
    const prefix = path === '' ? '' : `${path}/`;
    const seen: { place: number; stat: Stats; letter: string; fresh: TreeEntry | undefined }[] = [];
    let difference = !sameNames;
    for (let i = 0; i < names.length; i++) {
      const name = names[i]!;
      const found = this.#lstat(prefix + name);
      if (!found) continue;
      const letter = letterOf(found);
      if (letter === undefined) {
        this.#refuse(prefix + name, 'it is a socket, pipe or device');
        continue;
      }
      const place = places ? (places.get(name) ?? -1) : i;
      let fresh: TreeEntry | undefined;
      if (letter === 'd') {
        const child = yield* this.#directory(prefix + name, found, rules);
        const known = place >= 0 && cached!.letters[place] === 'd' ? this.#cache?.get(prefix + name) : undefined;
        if (known?.digest !== child.digest)
          fresh = { name, kind: 'dir', mode: 0o755, size: child.object.length, digest: child.digest };
      } else {
        this.tree.files++;
        if (letter !== 'l') this.tree.bytes += found.size;
        if (place < 0 || !isKnown(cached!, place, found, letter)) {
          fresh = yield* this.#entry(name, prefix + name, found, letter);
          if (!fresh) continue;
        }
      }
      if (fresh) difference = true;
      seen.push({ place, stat: found, letter, fresh });
    }
    const complete = this.changed.length === changesBefore;
    const same = !difference && seen.length === names.length && complete;
    const record = same ? cached! : this.#record({ path, stat, rulesKey: rules.key, ownRules, complete }, seen, cached);
    this.tree.directories.push(record);
    return record;
  }

  #record(
    about: { path: string; stat: Stats; rulesKey: string; ownRules: boolean; complete: boolean },
    seen: { place: number; stat: Stats; letter: string; fresh: TreeEntry | undefined }[],
    cached: DirectoryRecord | undefined,
  ): DirectoryRecord {
    this.tree.learned = true;
    const old = cached ? decodeDirectory(cached.object) : [];
    const entries: SeenEntry[] = seen.map(({ place, stat, letter, fresh }) => ({
      entry: fresh ?? old[place]!,
      stat,
      letter,
    }));
    const object = encodeDirectory(entries.map(({ entry }) => entry));
    return makeRecord({ ...about, entries, object, digest: sha256(object), readAfter: this.#startedAt });
  }

  #list(path: string, stat: Stats, outer: WalkRules, cached: DirectoryRecord | undefined): Listing {
    const absolute = this.#absolute(path);
    try {
      if (cached && sameListing(cached, stat)) {
        const rules = rulesWithin(absolute, path, outer, cached.ownRules);
        if (rules.key === cached.rulesKey) return { names: cached.names, rules, ownRules: cached.ownRules };
      }
      return listDirectory(absolute, path, outer, (refusedPath, reason) => this.#refuse(refusedPath, reason));
    } catch (error) {
      this.#refuse(path === '' ? '.' : path, reasonOf(error));
      return { names: [], rules: outer, ownRules: false };
    }
  }

  #lstat(path: string): Stats | undefined {
    try {
      const found = lstatSync(this.#absolute(path), { throwIfNoEntry: false });
      if (!found) this.changed.push(path);
      return found;
    } catch (error) {
      this.#refuse(path, reasonOf(error));
      return undefined;
    }
  }

  /** Reads a file or link; undefined (and noted) when it cannot be read or changes meanwhile. */
  *#entry(name: string, path: string, stat: Stats, letter: 'f' | 'x' | 'l'): Generator<void, TreeEntry | undefined> {
    try {
      if (letter === 'l') return this.#link(name, path);
      const file = yield* hashFile(this.#absolute(path), stat);
      if (!file) {
        this.changed.push(path);
        return undefined;
      }
      this.tree.hashedBytes += stat.size;
      this.#retain(file.digest, file.content);
      if (performance.now() - this.#yieldedAt > sliceMs) yield* this.#rest();
      return { name, kind: 'file', mode: letter === 'x' ? 0o755 : 0o644, size: stat.size, digest: file.digest };
    } catch (error) {
      this.#refuse(path, reasonOf(error));
      return undefined;
    }
  }

  #link(name: string, path: string): TreeEntry | undefined {
    const bytes = readlinkSync(this.#absolute(path), { encoding: 'buffer' });
    const problem = this.#options.links === 'any' ? undefined : linkProblem(path, bytes.toString());
    if (problem) {
      this.#refuse(path, `the symbolic link ${problem}`);
      return undefined;
    }
    return { name, kind: 'link', mode: 0o755, size: bytes.length, digest: sha256(bytes) };
  }

  #retain(digest: string, content: Buffer | undefined): void {
    if (!content || this.#retained + content.length > (this.#options.retainBytes ?? 0)) return;
    this.#retained += content.length;
    if (this.#slab.length < content.length) this.#slab = Buffer.allocUnsafeSlow(Math.max(slabBytes, content.length));
    content.copy(this.#slab);
    this.tree.contents.set(digest, this.#slab.subarray(0, content.length));
    this.#slab = this.#slab.subarray(content.length);
  }

  #refuse(path: string, reason: string): void {
    this.refused.push({ path, reason });
  }

  #absolute(path: string): string {
    return path === '' ? this.tree.base : `${this.tree.base}/${path}`;
  }

  *#rest(): Generator<void, void> {
    yield;
    this.#yieldedAt = performance.now();
  }
}
