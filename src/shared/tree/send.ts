/**
 * The sender's side of an upload, the same for a laptop's source and a host's build output. Transport-neutral.
 *
 *   missing([root]) ──► nothing? done, no byte was read
 *   missing(other directories) ──► missing(files of the missing directories)
 *   begin(total) ──► putChunk × n ──► finish          one pack stream of what is missing
 *
 * That is three questions and one stream, however deep the tree. When the connection breaks, the receiver is asked how
 * far it came; when it has forgotten the upload (it expired, its disk was replaced), everything starts anew.
 */
import { readlinkSync } from 'node:fs';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { errnoOf, PaasError } from '../errors.ts';
import { equalJitter } from '../jitter.ts';
import { decodeDirectory, type TreeEntry } from './directory.ts';
import { sha256 } from './hash.ts';
import { changedWhileSent, encodePack, packBytes, type PackObject } from './pack.ts';
import type { WalkedTree } from './walk.ts';

/**
 * How the sender reaches the receiver. PaasErrors `unavailable`, `outcome_unknown` and `timeout`, and errors with a
 * system error code (ECONNRESET, …) count as a broken connection; any other ends the push. All calls may be repeated.
 */
export interface UploadTransport {
  /**
   * Which of these digests the receiver lacks. A directory is present only together with all that it reaches. What is
   * answered as present stays so until the push is over.
   */
  missing(digests: string[]): Promise<string[]>;
  beginUpload(totalBytes: number): Promise<{ id: string; offset: number }>;
  /** Appends at `offset`; answers the offset after it. */
  putChunk(id: string, offset: number, bytes: Buffer): Promise<{ offset: number }>;
  /** Checks and publishes the upload. Once it is published, repeating this succeeds. */
  finish(id: string): Promise<void>;
  /** Throws `not_found` when the receiver does not know the upload any more. */
  status(id: string): Promise<{ offset: number; finished: boolean }>;
  /** false: it has never answered. Then it is not there, rather than gone for a moment, and nothing is repeated. */
  isReached?(): boolean;
  /** Lets the receiver drop an unfinished upload at once rather than when it expires. */
  abort?(id: string): Promise<void>;
}

export interface SendOptions {
  /** At most; default 8 MiB, the largest body that the API takes. */
  chunkBytes?: number;
  /** Digests in one question; default 10,000 (about 670 KB of JSON). */
  batch?: number;
  /** How long to go on without a byte getting through; default 60 s. */
  patienceMs?: number;
  signal?: AbortSignal;
  onProgress?: (sentBytes: number, totalBytes: number, files: number) => void;
  /** Told when the connection broke and is tried again. */
  onRetry?: (error: Error, waitMs: number) => void;
}

export interface Sent {
  /** Files and links that were sent. */
  files: number;
  /** Bytes on the wire: content, directories and their framing. */
  bytes: number;
}

const restarts = 3;
const defaultBatch = 10_000;

/**
 * Makes the receiver hold the whole of `tree`.
 * @throws PaasError `source_changed` when a file is no longer what was hashed, `unavailable` when the connection does not
 *   come back, `interrupted`, and whatever else the transport throws
 */
export function sendTree(tree: WalkedTree, transport: UploadTransport, options: SendOptions = {}): Promise<Sent> {
  return sendLacking((ask) => missingObjects(tree, ask, options.batch ?? defaultBatch), transport, options);
}

/**
 * Makes the receiver hold one file that is part of no tree.
 * @param file.path absolute
 * @throws PaasError as `sendTree` does
 */
export function sendFile(
  file: { path: string; digest: string; size: number },
  transport: UploadTransport,
  options: SendOptions = {},
): Promise<Sent> {
  const object: PackObject = { kind: 'blob', digest: file.digest, size: file.size, source: { file: file.path } };
  return sendLacking(async (ask) => ((await ask([file.digest])).length === 0 ? [] : [object]), transport, options);
}

type Ask = (digests: string[]) => Promise<string[]>;

async function sendLacking(
  find: (ask: Ask) => Promise<PackObject[]>,
  transport: UploadTransport,
  options: SendOptions,
): Promise<Sent> {
  for (let start = 0; ; start++) {
    const objects = await find((digests) => patiently(() => transport.missing(digests), options, undefined, transport));
    const sent = sentBy(objects);
    if (objects.length === 0) return sent;
    const { id } = await patiently(() => transport.beginUpload(sent.bytes), options);
    try {
      await stream(objects, transport, id, sent, options);
      return sent;
    } catch (error) {
      const forgotten = error instanceof PaasError && error.code === 'not_found';
      // A courtesy that may fail: the receiver drops what is not finished after a while by itself.
      if (!forgotten) await transport.abort?.(id).catch(() => undefined);
      if (!forgotten || start === restarts) throw error;
    }
  }
}

/** What `sendTree` would send, without sending it. */
export async function measureTree(
  tree: WalkedTree,
  transport: UploadTransport,
  options: SendOptions = {},
): Promise<Sent> {
  const ask: Ask = (digests) => patiently(() => transport.missing(digests), options, undefined, transport);
  return sentBy(await missingObjects(tree, ask, options.batch ?? defaultBatch));
}

function sentBy(objects: readonly PackObject[]): Sent {
  if (objects.length === 0) return { files: 0, bytes: 0 };
  return { files: objects.filter(({ kind }) => kind === 'blob').length, bytes: packBytes(objects) };
}

async function stream(
  objects: PackObject[],
  transport: UploadTransport,
  id: string,
  total: Sent,
  options: SendOptions,
): Promise<void> {
  const deliver = async (chunk: Buffer, from: number): Promise<void> => {
    const to = from + chunk.length;
    for (let at = from; at < to;) {
      const has = await patiently(
        async () => (await transport.putChunk(id, at, chunk.subarray(at - from))).offset,
        options,
        async () => {
          const { offset } = await transport.status(id);
          return offset === at ? undefined : offset;
        },
      );
      // A receiver that was killed may have kept a part of the chunk.
      if (has <= at || has > to)
        throw new PaasError('not_found', `The upload ${id} went on at byte ${has} instead of ${at}.`);
      at = has;
    }
    options.onProgress?.(to, total.bytes, total.files);
  };
  let offset = 0;
  let inFlight: Promise<void> = Promise.resolve();
  try {
    for (const chunk of encodePack(objects, options.chunkBytes ?? 8 * 1024 * 1024)) {
      // One chunk is on its way while the next is read.
      await inFlight;
      inFlight = deliver(chunk, offset);
      inFlight.catch(() => undefined); // it is awaited in the next round or below
      offset += chunk.length;
      await setImmediate();
    }
  } catch (error) {
    await inFlight.catch(() => undefined); // the first error is the one to report
    throw error;
  }
  await inFlight;
  await patiently(
    async () => {
      await transport.finish(id);
      return true;
    },
    options,
    async () => (await transport.status(id)).finished || undefined,
  );
}

/** What of the tree the receiver lacks, each object once. */
async function missingObjects(tree: WalkedTree, ask: Ask, batch: number): Promise<PackObject[]> {
  const missingOf = async (digests: string[]): Promise<Set<string>> => {
    const missing = new Set<string>();
    for (let at = 0; at < digests.length; at += batch)
      for (const digest of await ask(digests.slice(at, at + batch))) missing.add(digest);
    return missing;
  };
  if ((await ask([tree.root])).length === 0) return [];
  const others = new Set(tree.directories.map(({ digest }) => digest).filter((digest) => digest !== tree.root));
  const lacking = (await missingOf([...others])).add(tree.root);
  const directories = new Map<string, PackObject>();
  const leaves = new Map<string, { file: string; entry: TreeEntry }>();
  for (const { path, digest, object } of tree.directories) {
    if (!lacking.has(digest) || directories.has(digest)) continue;
    directories.set(digest, { kind: 'tree', digest, size: object.length, source: object });
    const folder = path === '' ? tree.base : `${tree.base}/${path}`;
    for (const entry of decodeDirectory(object))
      if (entry.kind !== 'dir') leaves.set(entry.digest, { file: `${folder}/${entry.name}`, entry });
  }
  const wanted = await missingOf([...leaves.keys()]);
  const objects: PackObject[] = [];
  for (const [digest, { file, entry }] of leaves) {
    if (!wanted.has(digest)) continue;
    const source = tree.contents.get(digest) ?? (entry.kind === 'link' ? linkTarget(file, digest) : { file });
    objects.push({ kind: 'blob', digest, size: entry.size, source });
  }
  return [...objects, ...directories.values()];
}

function linkTarget(file: string, digest: string): Buffer {
  let target: Buffer | undefined;
  try {
    target = readlinkSync(file, { encoding: 'buffer' });
  } catch (error) {
    if (errnoOf(error) === undefined) throw error; // otherwise it is gone or no link any more, which the digest shows
  }
  if (target === undefined || sha256(target) !== digest) throw changedWhileSent(file);
  return target;
}

const broken = new Set<string>(['unavailable', 'outcome_unknown', 'timeout']);

/**
 * Makes a call over a connection that may break, again and again with growing waits.
 * @param settle asked before a repetition whether the call took effect all the same; undefined: it did not
 */
async function patiently<T>(
  call: () => Promise<T>,
  options: SendOptions,
  settle?: () => Promise<T | undefined>,
  transport?: UploadTransport,
): Promise<T> {
  const patienceMs = options.patienceMs ?? 60_000;
  let brokenSince: number | undefined;
  for (let attempt = 0; ; attempt++) {
    try {
      throwIfAborted(options.signal);
      const settled = attempt > 0 ? await settle?.() : undefined;
      return settled ?? (await call());
    } catch (error) {
      throwIfAborted(options.signal);
      const isBroken = error instanceof PaasError ? broken.has(error.code) : errnoOf(error) !== undefined;
      if (!isBroken || !(error instanceof Error) || transport?.isReached?.() === false) throw error;
      const waitMs = equalJitter(Math.min(8_000, 200 * 2 ** attempt));
      brokenSince ??= performance.now();
      if (performance.now() - brokenSince + waitMs > patienceMs)
        throw new PaasError(
          'unavailable',
          `The connection broke and did not come back in ${patienceMs / 1000} s: ${error.message}`,
          {
            hint: 'Push again: only what is still missing will be sent.',
            cause: error,
          },
        );
      options.onRetry?.(error, waitMs);
      await setTimeout(waitMs, undefined, options.signal ? { signal: options.signal } : {}).catch(() => undefined);
    }
  }
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new PaasError('interrupted', 'Interrupted while the source was being sent.', { hint: '' });
}
