/**
 * Objects on the host's disk. Twenty thousand small files cost seconds to write, so objects that arrive together lie
 * together in one file:
 *
 *   NNN.pack   a pack stream (shared/tree), perhaps cut short
 *   NNN.idx    'paas-idx-1\n', size of the pack (6 bytes), then entries sorted by digest:
 *              sha256 (32 bytes), offset of its bytes (6), length (6); big-endian
 *
 * A pack without a whole index was being written when the agent died; it is removed. Nothing here is trusted: whoever
 * reads an object checks its hash.
 */
import { closeSync, fsync, openSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { errnoOf } from '../../shared/errors.ts';

const magic = Buffer.from('paas-idx-1\n');
const headerBytes = magic.length + 6;
const entryBytes = 44;

export interface Location {
  offset: number;
  length: number;
}

/** The sorted index of one pack, searched where it lies: 44 bytes an object instead of a few hundred for a Map. */
export class PackIndex {
  readonly #bytes: Buffer;
  readonly count: number;

  private constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.count = (bytes.length - headerBytes) / entryBytes;
  }

  /** Undefined when the index is absent or damaged, or its pack is shorter than it was. */
  static load(path: string): PackIndex | undefined {
    try {
      const bytes = readFileSync(`${path}.idx`);
      const whole = bytes.length >= headerBytes && (bytes.length - headerBytes) % entryBytes === 0;
      if (!whole || bytes.compare(magic, 0, magic.length, 0, magic.length) !== 0) return undefined;
      if (statSync(`${path}.pack`).size < bytes.readUIntBE(magic.length, 6)) return undefined;
      return new PackIndex(bytes);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  find(digest: Buffer): Location | undefined {
    const wanted = digest.readUIntBE(0, 6);
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = headerBytes + middle * entryBytes;
      const head = this.#bytes.readUIntBE(at, 6);
      const order = head !== wanted ? head - wanted : this.#bytes.compare(digest, 0, 32, at, at + 32);
      if (order === 0) return this.#location(at);
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return undefined;
  }

  *entries(): Generator<Location & { digest: string }> {
    for (let at = headerBytes; at < this.#bytes.length; at += entryBytes) {
      yield { digest: this.#bytes.toString('hex', at, at + 32), ...this.#location(at) };
    }
  }

  #location(at: number): Location {
    return { offset: this.#bytes.readUIntBE(at + 32, 6), length: this.#bytes.readUIntBE(at + 38, 6) };
  }
}

/** Writes one pack: a pack stream as it comes, with a note of where each object's bytes lie in it. */
export class PackWriter {
  readonly path: string;
  readonly #fd: number;
  readonly #entries = new Map<string, Location>();
  #size = 0;

  constructor(path: string) {
    this.path = path;
    this.#fd = openSync(`${path}.pack`, 'w', 0o600);
  }

  get size(): number {
    return this.#size;
  }
  get count(): number {
    return this.#entries.size;
  }
  digests(): Iterable<string> {
    return this.#entries.keys();
  }

  /** Appends bytes. Throws what the file system says, `ENOSPC` among it. */
  append(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) at += writeSync(this.#fd, bytes, at);
    this.#size += bytes.length;
  }

  /** Notes an object whose bytes were appended and whose hash was checked. */
  add(digest: string, offset: number, length: number): void {
    this.#entries.set(digest, { offset, length });
  }

  /** Makes the pack valid, with all objects noted so far. */
  commit(): void {
    const digests = [...this.#entries.keys()].sort();
    const index = Buffer.allocUnsafe(headerBytes + digests.length * entryBytes);
    magic.copy(index);
    index.writeUIntBE(this.#size, magic.length, 6);
    digests.forEach((digest, i) => {
      const { offset, length } = this.#entries.get(digest)!;
      const at = headerBytes + i * entryBytes;
      index.write(digest, at, 'hex');
      index.writeUIntBE(offset, at + 32, 6);
      index.writeUIntBE(length, at + 38, 6);
    });
    try {
      writeFileSync(`${this.path}.idx`, index, { mode: 0o600 });
    } catch (error) {
      this.abandon();
      throw error;
    }
    // Lost at a power cut, an object is found missing or damaged by its hash and fetched again: nothing waits for this.
    fsync(this.#fd, () => closeSync(this.#fd));
  }

  /** Gives the pack up and removes it. */
  abandon(): void {
    closeSync(this.#fd);
    rmSync(`${this.path}.pack`, { force: true });
    rmSync(`${this.path}.idx`, { force: true });
  }
}
