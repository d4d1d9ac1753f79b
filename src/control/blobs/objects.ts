/** Reading single objects out of packs, each verified by its digest. */
import { createHash } from 'node:crypto';
import { PaasError } from '../../shared/errors.ts';
import { decodeDirectory, maxDirectoryBytes, type TreeEntry } from '../../shared/tree/directory.ts';
import { sha256 } from '../../shared/tree/hash.ts';
import type { ObjectIndex, ObjectPlace } from './object-index.ts';
import type { PackFiles } from './pack-files.ts';

/** Larger reads leave the event loop free. */
const readNowBytes = 256 * 1024;
const pieceBytes = 2 * 1024 * 1024;

export class Objects {
  readonly index: ObjectIndex;
  readonly files: PackFiles;
  /** Damage found so far, for people; bounded. */
  readonly problems: string[];

  constructor(index: ObjectIndex, files: PackFiles, problems: string[]) {
    this.index = index;
    this.files = files;
    this.problems = problems;
  }

  /** Throws `not_found`. */
  locate(digest: string): ObjectPlace {
    const entry = this.index.find(digest);
    if (entry < 0) throw new PaasError('not_found', `The object ${digest} is not in the store.`);
    return this.index.place(entry);
  }

  /** A directory object, read at once: they are small, and a walk reads thousands. */
  directory(digest: string): TreeEntry[] {
    const place = this.locate(digest);
    if (place.size > maxDirectoryBytes) throw new PaasError('corrupt', `The object ${digest} is not a directory.`);
    return decodeDirectory(
      this.#verified(
        place,
        this.#guard(place, () => this.#readNow(place)),
      ),
    );
  }

  async whole(digest: string, maxBytes: number): Promise<Buffer> {
    const place = this.locate(digest);
    if (place.size > maxBytes)
      throw new PaasError('too_large', `The object ${digest} has ${place.size} bytes; ${maxBytes} is the limit here.`);
    if (place.size <= readNowBytes)
      return this.#verified(
        place,
        this.#guard(place, () => this.#readNow(place)),
      );
    const bytes = await this.files.read(place.pack, place.offset, place.size).catch((error: unknown) => {
      throw this.found(place, error);
    });
    return this.#verified(place, bytes);
  }

  /** The object in pieces. The last comes only after the digest was checked; a mismatch throws `corrupt` instead. */
  async *pieces(digest: string): AsyncGenerator<Buffer> {
    let place = this.locate(digest);
    const hash = createHash('sha256');
    for (let at = 0; at < place.size; at += pieceBytes) {
      place = this.locate(digest); // it may have moved to another pack meanwhile
      const length = Math.min(pieceBytes, place.size - at);
      const bytes = await this.files.read(place.pack, place.offset + at, length).catch((error: unknown) => {
        throw this.found(place, error);
      });
      hash.update(bytes);
      if (at + length === place.size && hash.digest('hex') !== digest) throw this.found(place);
      yield bytes;
    }
  }

  /**
   * Notes that an object is damaged, unless `cause` says that it only cannot be read right now: from now on it is missing, so that the next upload brings it again.
   * @returns the error to throw
   */
  found(place: ObjectPlace, cause?: unknown): PaasError {
    if (cause instanceof PaasError && cause.code === 'unavailable') return cause;
    const pack = this.files.get(place.pack);
    const file = pack ? this.files.path(pack.id) : `pack ${place.pack}`;
    const entry = this.index.find(place.digest);
    // Unless a newer copy has taken its place since it was looked up.
    if (entry >= 0 && this.index.packOf(entry) === place.pack) {
      this.index.drop(entry);
      if (pack) this.files.forgetSidecar(pack);
      if (this.problems.length < 100) this.problems.push(`${file}: the object ${place.digest} is damaged.`);
    }
    return new PaasError('corrupt', `The object ${place.digest} in ${file} does not match its digest.`, {
      hint: 'Push the app again: it brings what is damaged.',
      details: { digest: place.digest },
      cause,
    });
  }

  #readNow(place: ObjectPlace): Buffer {
    return this.files.readNow(place.pack, place.offset, place.size);
  }

  #guard(place: ObjectPlace, read: () => Buffer): Buffer {
    try {
      return read();
    } catch (error) {
      throw this.found(place, error);
    }
  }

  #verified(place: ObjectPlace, bytes: Buffer): Buffer {
    if (sha256(bytes) !== place.digest) throw this.found(place);
    return bytes;
  }
}
