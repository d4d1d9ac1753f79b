/** Writing a pack from the server's own objects: for `put`, and for moving live objects out of mostly dead packs. */
import { open, rm, utimes, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, PaasError } from '../../shared/errors.ts';
import { newId } from '../../shared/ids.ts';
import { packHead, packTail, recordHeader, recordHeaderBytes } from '../../shared/tree/pack.ts';
import type { PackFile, PackFiles } from './pack-files.ts';
import { SidecarBuilder } from './sidecar.ts';

const bufferBytes = 4 * 1024 * 1024;

export interface NewObject {
  digest: string;
  size: number;
  tree: boolean;
}

/** A pack in the making, in a temporary file of `directory`; the next start removes what a crash leaves. */
export class PackWriter {
  readonly id: string;
  readonly sidecar = new SidecarBuilder();
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #buffer = Buffer.allocUnsafe(bufferBytes);
  #used = 0;
  /** Bytes in the file, without those in the buffer. */
  #written = 0;

  private constructor(id: string, path: string, handle: FileHandle) {
    this.id = id;
    this.#path = path;
    this.#handle = handle;
  }

  static async create(directory: string, now: number): Promise<PackWriter> {
    const id = newId('pak', now);
    const path = join(directory, `${id}.tmp`);
    const writer = new PackWriter(id, path, await open(path, 'wx', 0o600));
    await writer.#append(packHead());
    return writer;
  }

  /** Appends one object; an error of `pieces` leaves the pack as it was before. */
  async add({ digest, size, tree }: NewObject, pieces: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<void> {
    const start = this.#written + this.#used;
    try {
      await this.#append(recordHeader(tree ? 'tree' : 'blob', digest, size));
      for await (const piece of pieces) await this.#append(piece);
    } catch (error) {
      await this.#flush();
      await this.#handle.truncate(start);
      this.#written = start;
      throw error;
    }
    this.sidecar.add(digest, start + recordHeaderBytes, size, tree);
  }

  /** Completes the pack and takes it in among `files`. */
  async publish(files: PackFiles, bornAt: number): Promise<PackFile> {
    await this.#append(packTail(this.sidecar.count));
    await this.#flush();
    await this.#handle.sync();
    await this.#handle.close();
    await utimes(this.#path, bornAt / 1000, bornAt / 1000);
    return files.adopt(this.#path, this.id, this.#written, this.sidecar.encode(this.#written), bornAt);
  }

  async discard(): Promise<void> {
    await this.#handle.close();
    await rm(this.#path, { force: true });
  }

  async #append(bytes: Buffer): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const copied = bytes.copy(this.#buffer, this.#used, done);
      done += copied;
      this.#used += copied;
      if (this.#used === bufferBytes) await this.#flush();
    }
  }

  async #flush(): Promise<void> {
    try {
      for (let done = 0; done < this.#used;) {
        const { bytesWritten } = await this.#handle.write(this.#buffer, done, this.#used - done, this.#written);
        done += bytesWritten;
        this.#written += bytesWritten;
      }
    } catch (error) {
      const errno = errnoOf(error);
      if (errno !== 'ENOSPC' && errno !== 'EDQUOT') throw error;
      throw new PaasError('disk_full', `The disk of ${this.#path} is full.`, { cause: error });
    }
    this.#used = 0;
  }
}
