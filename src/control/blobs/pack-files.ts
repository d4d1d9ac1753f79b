/** The files of the packs: which there are, their open descriptors, and reading from them. */
import { closeSync, openSync, readSync, rmSync, read as readCallback } from 'node:fs';
import { open, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { errnoOf, PaasError } from '../../shared/errors.ts';
import { recordHeaderBytes } from '../../shared/tree/pack.ts';

const readAsync = promisify(readCallback);
const maxOpen = 64;

export interface PackFile {
  number: number;
  id: string;
  bytes: number;
  /** When its youngest object arrived; ms since 1970. */
  bornAt: number;
}

interface OpenFile {
  descriptor: number;
  users: number;
  /** Removed while it was in use: closed by its last user. */
  doomed: boolean;
}

export class PackFiles {
  readonly directory: string;
  readonly #packs = new Map<number, PackFile>();
  readonly #byId = new Map<string, PackFile>();
  /** Least recently used first. */
  readonly #open = new Map<number, OpenFile>();
  #next = 1;

  constructor(directory: string) {
    this.directory = directory;
  }

  path(id: string, suffix: '.pack' | '.idx' = '.pack'): string {
    return join(this.directory, id + suffix);
  }
  get(number: number): PackFile | undefined {
    return this.#packs.get(number);
  }
  byId(id: string): PackFile | undefined {
    return this.#byId.get(id);
  }
  all(): PackFile[] {
    return [...this.#packs.values()];
  }

  /** Notes a pack that lies in the directory. */
  register(id: string, bytes: number, bornAt: number): PackFile {
    const pack = { number: this.#next++, id, bytes, bornAt };
    this.#packs.set(pack.number, pack);
    this.#byId.set(id, pack);
    return pack;
  }

  /**
   * Takes a complete, synced file in as a pack. The rename is what makes it exist; the sidecar comes after it, since it
   * can be made again from the pack.
   */
  async adopt(file: string, id: string, bytes: number, sidecar: Buffer, bornAt: number): Promise<PackFile> {
    await rename(file, this.path(id));
    try {
      await writeFile(this.path(id, '.idx'), sidecar, { mode: 0o600 });
    } catch (error) {
      if (errnoOf(error) !== 'ENOSPC') throw error;
      await rm(this.path(id, '.idx'), { force: true }); // the next start makes it again
    }
    await syncPath(this.directory);
    return this.register(id, bytes, bornAt);
  }

  /** Deletes a pack. Reads under way go on. */
  async remove(pack: PackFile): Promise<void> {
    this.#packs.delete(pack.number);
    this.#byId.delete(pack.id);
    const opened = this.#open.get(pack.number);
    if (opened) {
      this.#open.delete(pack.number);
      opened.doomed = true;
      if (opened.users === 0) closeSync(opened.descriptor);
    }
    await rm(this.path(pack.id), { force: true });
    await rm(this.path(pack.id, '.idx'), { force: true });
  }

  /** Makes the next start read the pack itself: something in it is damaged, and the sidecar does not know. */
  forgetSidecar(pack: PackFile): void {
    rmSync(this.path(pack.id, '.idx'), { force: true });
  }

  /** Reads exactly `length` bytes at once; for what is small. Throws `corrupt` when the pack is shorter or gone. */
  readNow(number: number, offset: number, length: number): Buffer {
    const opened = this.#acquire(number);
    try {
      const target = Buffer.allocUnsafe(length);
      for (let done = 0; done < length;) {
        const count = readSync(opened.descriptor, target, done, length - done, offset + done);
        if (count === 0) throw this.#damaged(number, 'it is shorter than it was');
        done += count;
      }
      return target;
    } catch (error) {
      throw error instanceof PaasError ? error : this.#damaged(number, 'it cannot be read', error);
    } finally {
      this.#release(opened);
    }
  }

  /** The same without stopping the event loop. */
  async read(number: number, offset: number, length: number): Promise<Buffer> {
    const opened = this.#acquire(number);
    try {
      const target = Buffer.allocUnsafeSlow(length);
      for (let done = 0; done < length;) {
        const { bytesRead } = await readAsync(opened.descriptor, target, done, length - done, offset + done);
        if (bytesRead === 0) throw this.#damaged(number, 'it is shorter than it was');
        done += bytesRead;
      }
      return target;
    } catch (error) {
      throw error instanceof PaasError ? error : this.#damaged(number, 'it cannot be read', error);
    } finally {
      this.#release(opened);
    }
  }

  close(): void {
    for (const opened of this.#open.values()) {
      opened.doomed = true;
      if (opened.users === 0) closeSync(opened.descriptor);
    }
    this.#open.clear();
  }

  #acquire(number: number): OpenFile {
    let opened = this.#open.get(number);
    if (opened) this.#open.delete(number);
    else opened = { descriptor: this.#openPack(number), users: 0, doomed: false };
    this.#open.set(number, opened);
    opened.users++;
    for (const [other, idle] of this.#open) {
      if (this.#open.size <= maxOpen) break;
      if (idle.users > 0) continue;
      closeSync(idle.descriptor);
      this.#open.delete(other);
    }
    return opened;
  }

  #release(opened: OpenFile): void {
    opened.users--;
    if (opened.doomed && opened.users === 0) closeSync(opened.descriptor);
  }

  #openPack(number: number): number {
    const pack = this.#packs.get(number);
    if (!pack) throw new PaasError('internal', `There is no pack number ${number}.`);
    try {
      return openSync(this.path(pack.id), 'r');
    } catch (error) {
      if (errnoOf(error) === 'EMFILE') throw new PaasError('unavailable', 'Too many files are open.', { cause: error });
      throw this.#damaged(number, 'it cannot be opened', error);
    }
  }

  #damaged(number: number, reason: string, cause?: unknown): PaasError {
    const pack = this.#packs.get(number);
    const file = pack ? this.path(pack.id) : `pack ${number}`;
    return new PaasError('corrupt', `${file} is damaged: ${reason}.`, { cause });
  }
}

/** Makes a file's content, or a directory's list of names, survive a power cut. */
export async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Bytes that an object takes in a pack. */
export const bytesInPack = (size: number): number => recordHeaderBytes + size;
