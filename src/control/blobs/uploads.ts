/** Uploads under way: one file each, verified while it grows, and turned into a pack by `finish`. */
import { createReadStream } from 'node:fs';
import { open, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, PaasError } from '../../shared/errors.ts';
import { newId } from '../../shared/ids.ts';
import { decodeDirectory, looksLikeDirectory } from '../../shared/tree/directory.ts';
import { PackParser, type PackHandler } from '../../shared/tree/unpack.ts';
import { loadParts, partName } from './load.ts';
import { syncPath } from './pack-files.ts';
import type { UploadStatus } from './port.ts';
import { SidecarBuilder } from './sidecar.ts';

interface Upload {
  id: string;
  path: string;
  totalBytes: number;
  offset: number;
  touchedAt: number;
  lease: string | undefined;
  /** Undefined after a restart, until the file has been read again. */
  check: { parser: PackParser; sidecar: SidecarBuilder } | undefined;
  /** The last call, so that calls for one upload follow each other. */
  tail: Promise<unknown>;
}

export interface UploadsOptions {
  directory: string;
  maxUploadBytes: number;
  /** Left free on the disk for everything else. */
  reserveBytes: number;
  now: () => number;
  /** Makes a complete, synced file a pack. */
  publish: (id: string, path: string, bytes: number, sidecar: SidecarBuilder) => Promise<void>;
  isPublished: (id: string) => number | undefined;
  /** Called at every sign of life of an upload with a lease. */
  renew: (lease: string) => void;
}

export class Uploads {
  readonly #options: UploadsOptions;
  readonly #uploads = new Map<string, Upload>();

  private constructor(options: UploadsOptions) {
    this.#options = options;
  }

  static async open(options: UploadsOptions): Promise<Uploads> {
    const uploads = new Uploads(options);
    for (const part of await loadParts(options.directory))
      uploads.#uploads.set(part.id, {
        ...part,
        offset: part.bytes,
        lease: undefined,
        check: undefined,
        tail: Promise.resolve(),
      });
    return uploads;
  }

  get count(): number {
    return this.#uploads.size;
  }

  async begin(totalBytes: number, lease: string | undefined): Promise<UploadStatus> {
    const { directory, maxUploadBytes, now } = this.#options;
    if (!Number.isSafeInteger(totalBytes) || totalBytes < 1)
      throw new PaasError('bad_request', `An upload cannot have ${totalBytes} bytes.`);
    if (totalBytes > maxUploadBytes)
      throw new PaasError(
        'too_large',
        `An upload of ${totalBytes} bytes is over the limit of ${maxUploadBytes} bytes.`,
      );
    await this.checkSpace(totalBytes);
    const id = newId('pak', now());
    const path = join(directory, partName(id, totalBytes));
    await diskFull(path, writeFile(path, '', { mode: 0o600, flag: 'wx' }));
    const upload = {
      id,
      path,
      totalBytes,
      offset: 0,
      touchedAt: now(),
      lease,
      check: newCheck(),
      tail: Promise.resolve(),
    };
    this.#uploads.set(id, upload);
    this.#touch(upload);
    return statusOf(upload);
  }

  /** Refuses what cannot fit, before any of it is sent. */
  async checkSpace(bytes: number): Promise<void> {
    const { bavail, bsize } = await statfs(this.#options.directory);
    const free = bavail * bsize - this.#options.reserveBytes;
    if (bytes > free)
      throw new PaasError(
        'disk_full',
        `${bytes} bytes do not fit on the disk of ${this.#options.directory} (${Math.max(0, free)} free).`,
      );
  }

  async append(id: string, offset: number, bytes: Buffer): Promise<UploadStatus> {
    return this.#exclusively(id, async (upload) => {
      if (offset + bytes.length <= upload.offset && offset >= 0) return statusOf(upload);
      if (offset !== upload.offset)
        throw new PaasError('conflict', `The upload ${id} goes on at byte ${upload.offset}, not at ${offset}.`, {
          details: { offset: upload.offset },
        });
      if (offset + bytes.length > upload.totalBytes)
        throw new PaasError('bad_request', `The upload ${id} is longer than the ${upload.totalBytes} bytes announced.`);
      const check = upload.check ?? (await this.#recheck(upload));
      try {
        // The kernel copies the bytes in another thread while this one hashes them.
        const written = writeAt(upload.path, bytes, offset);
        written.catch(() => undefined); // awaited below, but the parser may throw first
        try {
          check.parser.write(bytes);
        } finally {
          await diskFull(upload.path, written);
        }
      } catch (error) {
        await this.#drop(upload);
        throw error;
      }
      upload.offset += bytes.length;
      this.#touch(upload);
      return statusOf(upload);
    });
  }

  async status(id: string): Promise<UploadStatus> {
    const published = this.#options.isPublished(id);
    if (published !== undefined) return { id, totalBytes: published, offset: published, finished: true };
    return this.#exclusively(id, async (upload) => {
      if (!upload.check) await this.#recheck(upload);
      this.#touch(upload);
      return statusOf(upload);
    });
  }

  async finish(id: string): Promise<UploadStatus> {
    if (this.#options.isPublished(id) !== undefined) return this.status(id);
    return this.#exclusively(id, async (upload) => {
      const { offset, totalBytes, path } = upload;
      if (offset !== totalBytes)
        throw new PaasError('conflict', `The upload ${id} has ${offset} of ${totalBytes} bytes.`, {
          details: { offset },
        });
      const { parser, sidecar } = upload.check ?? (await this.#recheck(upload));
      try {
        parser.finish();
        await diskFull(path, syncPath(path));
        await diskFull(path, this.#options.publish(id, path, totalBytes, sidecar));
        this.#uploads.delete(id);
      } catch (error) {
        await this.#drop(upload);
        throw error;
      }
      this.#touch(upload);
      return { ...statusOf(upload), finished: true };
    });
  }

  async abort(id: string): Promise<void> {
    if (this.#uploads.has(id)) await this.#exclusively(id, (upload) => this.#drop(upload));
  }

  /** Removes uploads that had no sign of life since `before`; returns how many. */
  async expire(before: number): Promise<number> {
    const old = [...this.#uploads.values()].filter((upload) => upload.touchedAt < before);
    for (const upload of old) await this.abort(upload.id);
    return old.length;
  }

  /** Runs one call after the other for an upload. */
  async #exclusively<T>(id: string, action: (upload: Upload) => Promise<T>): Promise<T> {
    const upload = this.#find(id);
    const result = upload.tail.then(() => action(this.#find(id)));
    upload.tail = result.catch(() => undefined); // its caller has the error; the next call goes on
    return result;
  }

  #find(id: string): Upload {
    const upload = this.#uploads.get(id);
    if (!upload) throw new PaasError('not_found', `There is no upload ${id}.`, { hint: 'Push again.' });
    return upload;
  }

  /** After a restart: reads what had arrived once more, to know where in the stream it ends. */
  async #recheck(upload: Upload): Promise<NonNullable<Upload['check']>> {
    const check = newCheck();
    try {
      for await (const chunk of createReadStream(upload.path, { highWaterMark: 4 * 1024 * 1024 }))
        check.parser.write(chunk as Buffer);
    } catch (error) {
      await this.#drop(upload);
      throw new PaasError('not_found', `What had arrived of the upload ${upload.id} is damaged.`, {
        hint: 'Push again.',
        cause: error,
      });
    }
    upload.offset = check.parser.offset;
    upload.check = check;
    return check;
  }

  #touch(upload: Upload): void {
    upload.touchedAt = this.#options.now();
    if (upload.lease !== undefined) this.#options.renew(upload.lease);
  }

  async #drop(upload: Upload): Promise<void> {
    this.#uploads.delete(upload.id);
    await rm(upload.path, { force: true });
  }
}

const statusOf = ({ id, totalBytes, offset }: Upload): UploadStatus => ({ id, totalBytes, offset, finished: false });

/** A parser that notes the place of every object. */
function newCheck(): NonNullable<Upload['check']> {
  const sidecar = new SidecarBuilder();
  let treeLike: boolean | undefined;
  const handler: PackHandler = {
    object(record, bytes) {
      if (record.kind === 'tree') checkDirectory(bytes);
      sidecar.add(record.digest, record.offset, record.size, looksLikeDirectory(bytes));
    },
    begin: () => (treeLike = undefined),
    data: (bytes) => (treeLike ??= looksLikeDirectory(bytes)),
    end: (record) => sidecar.add(record.digest, record.offset, record.size, treeLike === true),
  };
  return { parser: new PackParser(handler), sidecar };
}

function checkDirectory(bytes: Buffer): void {
  try {
    decodeDirectory(bytes);
  } catch (cause) {
    throw new PaasError('bad_request', cause instanceof Error ? cause.message : 'A directory object is malformed.', {
      cause,
    });
  }
}

async function writeAt(path: string, bytes: Buffer, offset: number): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    for (let done = 0; done < bytes.length;)
      done += (await handle.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
  } finally {
    await handle.close();
  }
}

/** Names the disk in the error when it is full. */
async function diskFull<T>(path: string, action: Promise<T>): Promise<T> {
  try {
    return await action;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno !== 'ENOSPC' && errno !== 'EDQUOT') throw error;
    throw new PaasError('disk_full', `The disk of ${path} is full; the upload was dropped.`, { cause: error });
  }
}
