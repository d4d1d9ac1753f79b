/**
 * The blob store on a local disk: packs of many objects instead of a file for each.
 *
 *   format.json          version of this layout
 *   packs/pak_….pack     a pack stream, exactly as it was uploaded; never changed once it is there
 *   packs/pak_….idx      what lies where in it (sidecar.ts); can be made again
 *   uploads/pak_….N.part an upload of N bytes under way
 *   uploads/pak_….tmp    a pack that the server is writing itself
 *
 * One process at a time may have a directory open.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { checkFormat } from '../../shared/data-format.ts';
import { PaasError } from '../../shared/errors.ts';
import { looksLikeDirectory, type TreeEntry } from '../../shared/tree/directory.ts';
import { sha256 } from '../../shared/tree/hash.ts';
import { markAndSweep, type WrittenPack } from './collect.ts';
import { CompletenessCheck } from './completeness.ts';
import { packOf } from './downloads.ts';
import { Leases } from './leases.ts';
import { loadPacks } from './load.ts';
import { ObjectIndex, type ObjectPlace } from './object-index.ts';
import { Objects } from './objects.ts';
import { PackFiles, type PackFile } from './pack-files.ts';
import { PackWriter } from './pack-writer.ts';
import type {
  BlobStats,
  BlobStore,
  Collected,
  CollectOptions,
  MissingObject,
  TreeSummary,
  UploadStatus,
} from './port.ts';
import type { SidecarBuilder } from './sidecar.ts';
import { Uploads } from './uploads.ts';

export interface PackStoreOptions {
  /** How long what a client was told is there stays without a further call; default 30 min. */
  leaseMs?: number;
  /** How long an upload may rest before it is given up; default 6 h. */
  uploadTtlMs?: number;
  /** Default 64 GiB. */
  maxUploadBytes?: number;
  /** Disk space that uploads leave free; default 64 MiB. */
  reserveBytes?: number;
  /** Milliseconds since 1970; for tests. */
  now?: () => number;
}

/** Raised with every change that an older server would misread. */
export const blobsFormat = 1;

/** Longer than any one push; see Leases. */
const longestLeaseMs = 24 * 3_600_000;

/** Largest object that `readBlob` gives in one piece. */
const maxReadBytes = 64 * 1024 * 1024;

/**
 * Opens the store in `directory`, which is made if need be. Damage is found and reported, never deleted.
 * @throws PaasError conflict when a later version wrote it
 */
export async function openPackStore(directory: string, options: PackStoreOptions = {}): Promise<BlobStore> {
  const now = options.now ?? Date.now;
  const packsDirectory = join(directory, 'packs');
  const uploadsDirectory = join(directory, 'uploads');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  checkFormat(directory, 'the blob store', blobsFormat);
  for (const path of [packsDirectory, uploadsDirectory]) await mkdir(path, { recursive: true, mode: 0o700 });
  const index = new ObjectIndex();
  const files = new PackFiles(packsDirectory);
  const objects = new Objects(index, files, await loadPacks(files, index));
  const uploadTtlMs = options.uploadTtlMs ?? 6 * 3_600_000;
  const leases = new Leases(options.leaseMs ?? 30 * 60_000, longestLeaseMs, now);
  const uploads = await Uploads.open({
    directory: uploadsDirectory,
    maxUploadBytes: options.maxUploadBytes ?? 64 * 1024 ** 3,
    reserveBytes: options.reserveBytes ?? 64 * 1024 ** 2,
    now,
    publish: async (id, path, bytes, sidecar) => {
      addAll(index, await files.adopt(path, id, bytes, sidecar.encode(bytes), now()), sidecar);
    },
    isPublished: (id) => files.byId(id)?.bytes,
    renew: (lease) => leases.renew(lease),
  });
  return new PackStore({ objects, leases, uploads, uploadsDirectory, now, openedAt: now(), uploadTtlMs });
}

interface Parts {
  objects: Objects;
  leases: Leases;
  uploads: Uploads;
  uploadsDirectory: string;
  now: () => number;
  openedAt: number;
  uploadTtlMs: number;
}

class PackStore implements BlobStore {
  readonly #parts: Parts;
  readonly #completeness: CompletenessCheck;
  #collecting = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#completeness = new CompletenessCheck(parts.objects);
  }

  has(digests: readonly string[]): boolean[] {
    return digests.map((digest) => this.#parts.objects.index.find(digest) >= 0);
  }

  async missing(digests: readonly string[], lease: string): Promise<string[]> {
    const { index } = this.#parts.objects;
    const missing: string[] = [];
    const there = digests.filter((digest) => index.find(digest) >= 0 || (missing.push(digest), false));
    // Before the trees are looked through, which takes a while, so that nothing can go away under the answer.
    this.#parts.leases.pin(lease, there);
    for (const digest of there) {
      const entry = index.find(digest);
      if (entry >= 0 && !index.isTree(entry)) continue;
      if ((await this.#completeness.check(digest, 1)).missing.length > 0) missing.push(digest);
    }
    return missing;
  }

  async missingFrom(root: string, limit = 100): Promise<MissingObject[]> {
    return (await this.#completeness.check(root, limit)).missing;
  }

  async assertComplete(root: string): Promise<TreeSummary> {
    const { summary, missing } = await this.#completeness.check(root, 10);
    if (missing.length === 0) return summary;
    const named = missing.map(
      ({ digest, path }) => `\n  ${path === '' ? 'the root' : JSON.stringify(path)} (${digest})`,
    );
    throw new PaasError('conflict', `The tree ${root} is not complete; missing:${named.join('')}`, {
      hint: 'Push again: what is missing will be sent.',
      details: { root, missing },
    });
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- a throw shall become a rejection
  async readDir(digest: string): Promise<TreeEntry[]> {
    return this.#parts.objects.directory(digest);
  }

  readBlob(digest: string): Promise<Buffer> {
    return this.#parts.objects.whole(digest, maxReadBytes);
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- as above
  async stream(digest: string): Promise<Readable> {
    this.#parts.objects.locate(digest);
    return byteStream(this.#parts.objects.pieces(digest));
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- as above
  async packStream(digests: readonly string[]): Promise<{ stream: Readable; bytes: number }> {
    const { source, bytes } = packOf(this.#parts.objects, digests);
    return { stream: byteStream(source), bytes };
  }

  async put(contents: readonly Buffer[]): Promise<string[]> {
    const { objects, uploads, uploadsDirectory, now } = this.#parts;
    const digests = contents.map(sha256);
    if (contents.length === 0) return digests;
    await uploads.checkSpace(contents.reduce((sum, bytes) => sum + bytes.length, 0));
    const writer = await PackWriter.create(uploadsDirectory, now());
    try {
      for (const [i, bytes] of contents.entries())
        await writer.add({ digest: digests[i]!, size: bytes.length, tree: looksLikeDirectory(bytes) }, [bytes]);
      addAll(objects.index, await writer.publish(objects.files, now()), writer.sidecar);
    } catch (error) {
      await writer.discard();
      throw error;
    }
    return digests;
  }

  begin({ totalBytes, lease }: { totalBytes: number; lease?: string }): Promise<UploadStatus> {
    return this.#parts.uploads.begin(totalBytes, lease);
  }
  append(id: string, offset: number, bytes: Buffer): Promise<UploadStatus> {
    return this.#parts.uploads.append(id, offset, bytes);
  }
  status(id: string): Promise<UploadStatus> {
    return this.#parts.uploads.status(id);
  }
  finish(id: string): Promise<UploadStatus> {
    return this.#parts.uploads.finish(id);
  }
  abort(id: string): Promise<void> {
    return this.#parts.uploads.abort(id);
  }

  async collect(liveRoots: AsyncIterable<string> | Iterable<string>, { graceMs }: CollectOptions): Promise<Collected> {
    if (this.#collecting) throw new PaasError('locked', 'The blob store is being collected already.');
    const { objects, leases, uploads, now, openedAt, uploadTtlMs } = this.#parts;
    this.#collecting = true;
    try {
      const expiredUploads = await uploads.expire(now() - uploadTtlMs);
      const nothing = { damaged: [], removedObjects: 0, freedBytes: 0, expiredUploads };
      if (now() - openedAt < leases.durationMs) return { skipped: 'just-opened', ...nothing };
      const write = (places: ObjectPlace[], bornAt: number): Promise<WrittenPack> => this.#move(places, bornAt);
      const swept = await markAndSweep({ objects, leases, liveRoots, bornBefore: now() - graceMs, write });
      return { ...swept, expiredUploads };
    } finally {
      this.#collecting = false;
    }
  }

  stats(): BlobStats {
    const { objects, uploads } = this.#parts;
    const packs = objects.files.all();
    return {
      objects: objects.index.objects,
      bytes: packs.reduce((sum, pack) => sum + pack.bytes, 0),
      packs: packs.length,
      uploads: uploads.count,
      problems: [...objects.problems],
    };
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- drivers of other kinds will have to wait here
  async close(): Promise<void> {
    this.#parts.objects.files.close();
  }

  /** Copies objects into a new pack. */
  async #move(places: ObjectPlace[], bornAt: number): Promise<WrittenPack> {
    const { objects, uploadsDirectory, now } = this.#parts;
    const writer = await PackWriter.create(uploadsDirectory, now());
    try {
      for (const place of places) {
        try {
          await writer.add(place, objects.pieces(place.digest));
        } catch (error) {
          // What is damaged has no new place, which tells the caller.
          if (!(error instanceof PaasError) || error.code !== 'corrupt') throw error;
        }
      }
      const pack = await writer.publish(objects.files, bornAt);
      const moved = new Map<string, ObjectPlace>();
      for (const { digest, ...rest } of writer.sidecar.records()) {
        const hex = digest.toString('hex');
        moved.set(hex, { ...rest, digest: hex, pack: pack.number });
      }
      return { pack, places: places.map(({ digest }) => moved.get(digest)) };
    } catch (error) {
      await writer.discard();
      throw error;
    }
  }
}

function addAll(index: ObjectIndex, pack: PackFile, sidecar: SidecarBuilder): void {
  for (const { digest, offset, size, tree } of sidecar.records()) index.set(digest, pack.number, offset, size, tree);
}

/** Reads ahead by one piece. */
const byteStream = (source: AsyncGenerator<Buffer>): Readable => Readable.from(source, { objectMode: false });
