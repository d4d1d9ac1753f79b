/**
 * The host's own store of objects (files, links, directory objects), by digest, in packs (pack-file.ts). Root-owned and
 * out of the apps' sight. Reading checks the hash: an object that does not match is forgotten, so that it is fetched
 * again, and `corrupt` is thrown.
 */
import { closeSync, openSync, readdirSync, readSync, statSync, unlinkSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { PaasError } from '../../shared/errors.ts';
import { decodeDirectory, type TreeEntry } from '../../shared/tree/directory.ts';
import { sha256 } from '../../shared/tree/hash.ts';
import { PackParser, type PackRecord } from '../../shared/tree/unpack.ts';
import { PackIndex, PackWriter, type Location } from './pack-file.ts';

/** Indexes and file handles are opened again when they are needed after so long without use. */
const forgetMs = 30_000;
const maxHandles = 16;

interface Found extends Location {
  pack: string;
}

/** Takes objects into the store; they are visible after `commit`. */
export interface StoreWriter {
  /** A part of a pack stream, cut anywhere. Throws `corrupt`, `too_large`, or what the disk says. */
  write(chunk: Buffer): void;
  /** The stream's end. Throws `corrupt` when it was cut short. */
  finish(): void;
  /** Keeps what was received whole, also of a stream that broke. Returns the number of objects. */
  commit(): number;
  /** Keeps nothing (a full disk). */
  abandon(): void;
}

export class ObjectStore {
  readonly #dir: string;
  /** Newest first. */
  #packs: string[] = [];
  #next: number;
  readonly #indexes = new Map<string, PackIndex>();
  readonly #handles = new Map<string, number>();
  /** Objects found damaged since the agent's start: as good as absent. */
  readonly #damaged = new Set<string>();
  #forget: NodeJS.Timeout | undefined;

  /** Opens the store in `dir`, which exists; removes what an agent that died left half-written. */
  constructor(dir: string) {
    this.#dir = dir;
    const names = new Set(readdirSync(dir));
    for (const name of names) {
      const id = /^(\d+)\.(pack|idx)$/.exec(name)?.[1];
      if (id === undefined) continue;
      if (!names.has(`${id}.pack`) || !names.has(`${id}.idx`)) unlinkSync(join(dir, name));
      else if (name.endsWith('.pack')) this.#packs.push(id);
    }
    this.#packs.sort((a, b) => Number(b) - Number(a));
    this.#next = Number(this.#packs[0] ?? 0) + 1;
  }

  has(digest: string): boolean {
    return !this.#damaged.has(digest) && this.#find(digest) !== undefined;
  }

  /** Bytes of an object. Throws `not_found`. */
  size(digest: string): number {
    return this.#need(digest).length;
  }

  /** A whole object, checked. Throws `not_found` or `corrupt`. For what fits in memory. */
  read(digest: string): Buffer {
    const found = this.#need(digest);
    const bytes = Buffer.allocUnsafe(found.length);
    if (this.#readAt(found, bytes, 0) !== found.length || sha256(bytes) !== digest) throw this.#corrupt(digest);
    return bytes;
  }

  /** A large object in pieces, each valid until the next; the hash is checked at the end, where `corrupt` is thrown. */
  *pieces(digest: string, pieceBytes = 1 << 20): Generator<Buffer> {
    const found = this.#need(digest);
    const buffer = Buffer.allocUnsafe(Math.min(pieceBytes, Math.max(found.length, 1)));
    const hash = createHash('sha256');
    for (let done = 0; done < found.length;) {
      const read = this.#readAt(found, buffer.subarray(0, Math.min(buffer.length, found.length - done)), done);
      if (read === 0) throw this.#corrupt(digest);
      const piece = buffer.subarray(0, read);
      hash.update(piece);
      yield piece;
      done += read;
    }
    if (hash.digest('hex') !== digest) throw this.#corrupt(digest);
  }

  /** Entries of a directory object. Throws `not_found` or `corrupt`. */
  directory(digest: string): TreeEntry[] {
    return decodeDirectory(this.read(digest));
  }

  /** Begins to take a pack stream; to be closed with `commit`, also after an error. */
  writer(): StoreWriter {
    const id = String(this.#next++);
    const pack = new PackWriter(join(this.#dir, id));
    const note = ({ digest, size, offset }: PackRecord) => pack.add(digest, offset, size);
    const parser = new PackParser({ object: note, begin: () => undefined, data: () => undefined, end: note });
    return {
      write(chunk) {
        // What the parser accepts, it accepts at the place where the file has it.
        pack.append(chunk);
        parser.write(chunk);
      },
      finish: () => parser.finish(),
      commit: () => {
        if (pack.count === 0) {
          pack.abandon();
          return 0;
        }
        for (const digest of pack.digests()) this.#damaged.delete(digest);
        pack.commit();
        this.#packs.unshift(id);
        return pack.count;
      },
      abandon: () => pack.abandon(),
    };
  }

  /** What lies in the store, pack by pack, for collecting garbage. */
  packs(): { id: string; bytes: number; objects(): Iterable<Location & { digest: string }> }[] {
    return this.#packs.map((id) => ({
      id,
      bytes: statSync(join(this.#dir, `${id}.pack`)).size,
      objects: () => this.#index(id)?.entries() ?? [],
    }));
  }

  /** Removes a pack. What is still needed of it must be in another one. */
  remove(id: string): void {
    this.#packs = this.#packs.filter((pack) => pack !== id);
    this.#indexes.delete(id);
    const fd = this.#handles.get(id);
    if (fd !== undefined) closeSync(fd);
    this.#handles.delete(id);
    // The index first: a pack without one is known to be garbage.
    unlinkSync(join(this.#dir, `${id}.idx`));
    unlinkSync(join(this.#dir, `${id}.pack`));
  }

  /** Closes file handles. The store may still be used afterwards. */
  close(): void {
    clearTimeout(this.#forget);
    this.#forget = undefined;
    for (const fd of this.#handles.values()) closeSync(fd);
    this.#handles.clear();
    this.#indexes.clear();
  }

  #need(digest: string): Found {
    const found = this.#damaged.has(digest) ? undefined : this.#find(digest);
    if (!found) throw new PaasError('not_found', `the object ${digest} is not on this host`);
    return found;
  }

  #find(digest: string): Found | undefined {
    const key = Buffer.from(digest, 'hex');
    for (const pack of this.#packs) {
      const found = this.#index(pack)?.find(key);
      if (found) return { pack, ...found };
    }
    return undefined;
  }

  #index(id: string): PackIndex | undefined {
    let index = this.#indexes.get(id);
    if (!index) {
      index = PackIndex.load(join(this.#dir, id));
      if (!index) {
        // What was in it is fetched again.
        this.#packs = this.#packs.filter((pack) => pack !== id);
        return undefined;
      }
      this.#indexes.set(id, index);
      this.#forget ??= setTimeout(() => this.close(), forgetMs).unref();
    }
    return index;
  }

  #readAt(found: Found, target: Buffer, done: number): number {
    let fd = this.#handles.get(found.pack);
    if (fd === undefined) {
      if (this.#handles.size >= maxHandles) this.close();
      fd = openSync(join(this.#dir, `${found.pack}.pack`), 'r');
      this.#handles.set(found.pack, fd);
    }
    return readSync(fd, target, 0, target.length, found.offset + done);
  }

  #corrupt(digest: string): PaasError {
    this.#damaged.add(digest);
    return new PaasError('corrupt', `the object ${digest} is damaged on this host's disk; it is fetched again`, {
      details: { digest },
    });
  }
}
