/**
 * The port of the blob store: objects (files, link targets, directory objects) by their sha256, as shared/tree has them.
 *
 *   begin ──► append* ──► finish ──► objects visible, durably and all at once
 *     │          │  ▲        │
 *     │          ▼  │ status │      (after a broken connection or a restart: go on at the offset)
 *     └─► abort / expired / failed ──► nothing remains
 *
 *   visible ──► collected          only when no live root, lease, running upload or young pack needs the object
 *      └─────► found corrupt ──► missing, until an upload brings it again
 *
 * Methods throw PaasError: `not_found` (object or upload unknown), `corrupt` (content does not match its digest),
 * `disk_full`, `too_large`, `conflict` (an upload's offset; an incomplete tree), `bad_request`.
 */
import type { Readable } from 'node:stream';
import type { TreeReader } from '../../shared/tree/reader.ts';

export interface UploadStatus {
  id: string;
  totalBytes: number;
  /** Bytes received and kept. */
  offset: number;
  finished: boolean;
}

export interface TreeSummary {
  /** Files and links, each as often as the tree has it. */
  files: number;
  /** Bytes of their content, likewise. */
  bytes: number;
  /** Levels of directories below the root. */
  depth: number;
}

export interface MissingObject {
  digest: string;
  /** Where in the tree it was first found to be missing; '' for the root. */
  path: string;
}

export interface CollectOptions {
  /** Packs younger than this are not touched, and what their directories reach is kept; ms. */
  graceMs: number;
}

export interface Collected {
  /** Why nothing was collected: the store has just been opened (leases from before are unknown), or is damaged. */
  skipped?: 'just-opened' | 'damaged';
  /** Objects that a live root needs and that are missing or corrupt. */
  damaged: string[];
  removedObjects: number;
  freedBytes: number;
  expiredUploads: number;
}

export interface BlobStats {
  objects: number;
  /** Bytes of the packs on disk. */
  bytes: number;
  packs: number;
  uploads: number;
  /** Damage that was found, for people: file, what is wrong. */
  problems: string[];
}

export interface BlobStore extends TreeReader {
  /** Which of these objects are there, in the order of the question. */
  has(digests: readonly string[]): boolean[];
  /**
   * The client's question before an upload: which of these it has to send. A directory is there only if all that it
   * reaches is. What is answered as there is leased: `collect` leaves it alone until the lease runs out; every further
   * call with the same lease renews it.
   * @param lease any text that names the push
   */
  missing(digests: readonly string[], lease: string): Promise<string[]>;
  /** What the tree reaches and the store lacks, at most `limit` (default 100) objects. */
  missingFrom(root: string, limit?: number): Promise<MissingObject[]>;
  /** Throws `conflict`, naming what is missing, unless the whole tree is there and well-formed. */
  assertComplete(root: string): Promise<TreeSummary>;

  /** One object as a stream, verified while it flows: a mismatch ends it with `corrupt`. */
  stream(digest: string): Promise<Readable>;
  /** A pack stream (shared/tree/pack.ts) of these objects, each once, verified, with its total size in bytes. */
  packStream(digests: readonly string[]): Promise<{ stream: Readable; bytes: number }>;
  /** Stores small objects made by the server itself; durable when it resolves. Returns their digests in order. */
  put(objects: readonly Buffer[]): Promise<string[]>;

  /** Starts an upload of a pack stream of `totalBytes`. With a lease, the upload renews it. */
  begin(upload: { totalBytes: number; lease?: string }): Promise<UploadStatus>;
  /**
   * Takes bytes at `offset`, in order; bytes that are there already are taken as a repetition. Objects are verified as
   * they arrive; a mismatch ends the upload with `corrupt`.
   */
  append(id: string, offset: number, bytes: Buffer): Promise<UploadStatus>;
  status(id: string): Promise<UploadStatus>;
  /** Makes the upload's objects visible. May be repeated. */
  finish(id: string): Promise<UploadStatus>;
  abort(id: string): Promise<void>;

  /**
   * Removes what nothing needs any more, and uploads that were given up. Uploads and reads may go on meanwhile.
   * @param liveRoots digests of all trees and objects that must stay with all they reach
   */
  collect(liveRoots: AsyncIterable<string> | Iterable<string>, options: CollectOptions): Promise<Collected>;
  stats(): BlobStats;
  close(): Promise<void>;
}
