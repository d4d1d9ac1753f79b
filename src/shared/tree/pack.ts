/**
 * Pack streams: many objects as one stream of bytes, for uploads, downloads and as files of the blob store.
 *
 *   "paaspk1\n"                                              8 bytes
 *   kind 1 | sha256 32 | size 8, big endian | the object     once per object; kind `t` directory object, `b` file or link
 *   "e" 1 | zeros 32 | number of records 8                   so that a stream that was cut short is never taken as whole
 *
 * The order is free and an object may come twice. The reader trusts nothing: it hashes every object (unpack.ts).
 */
import { closeSync, readSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { PaasError } from '../errors.ts';
import { openForReading } from './hash-file.ts';
import { sha256 } from './hash.ts';
import { reasonOf } from './problems.ts';

export const packMagic = Buffer.from('paaspk1\n');
export const recordHeaderBytes = 41;

export type ObjectKind = 'tree' | 'blob';

/** An object to be packed: its bytes, or the file that has them. */
export interface PackObject {
  kind: ObjectKind;
  digest: string;
  size: number;
  source: Buffer | { file: string };
}

/** Bytes of the whole pack stream of objects of these sizes. */
export function packBytes(objects: Iterable<{ size: number }>): number {
  let total = packMagic.length + recordHeaderBytes;
  for (const { size } of objects) total += recordHeaderBytes + size;
  return total;
}

/** Writes a record's header into `target` at `at`. `kind` is a letter: `t`, `b` or `e`. */
export function writeRecordHeader(target: Buffer, at: number, kind: string, digest: string, size: number): void {
  target.write(kind, at, 'latin1');
  target.write(digest, at + 1, 'hex');
  target.writeBigUInt64BE(BigInt(size), at + 33);
}

const noDigest = '0'.repeat(64);

export function packHead(): Buffer {
  return Buffer.from(packMagic);
}

export function packTail(records: number): Buffer {
  const tail = Buffer.alloc(recordHeaderBytes);
  writeRecordHeader(tail, 0, 'e', noDigest, records);
  return tail;
}

export function recordHeader(kind: ObjectKind, digest: string, size: number): Buffer {
  const header = Buffer.allocUnsafe(recordHeaderBytes);
  writeRecordHeader(header, 0, kind === 'tree' ? 't' : 'b', digest, size);
  return header;
}

/**
 * The pack stream of `objects`, cut into buffers of exactly `chunkBytes` (the last may be shorter). Files are read
 * synchronously, straight into the chunk: for many small files that is several times faster than a promise each.
 * @throws PaasError `source_changed` when a file no longer has the content that its digest names
 */
export function* encodePack(objects: Iterable<PackObject>, chunkBytes: number): Generator<Buffer, void> {
  let chunk = Buffer.allocUnsafeSlow(chunkBytes);
  let used = 0;
  let records = 0;
  /** Copies `bytes` behind what is there and yields each chunk that becomes full. */
  function* append(bytes: Buffer): Generator<Buffer, void> {
    for (let done = 0; done < bytes.length;) {
      const copied = bytes.copy(chunk, used, done);
      done += copied;
      used += copied;
      if (used === chunkBytes) {
        yield chunk;
        chunk = Buffer.allocUnsafeSlow(chunkBytes);
        used = 0;
      }
    }
  }

  yield* append(packHead());
  for (const object of objects) {
    records++;
    yield* append(recordHeader(object.kind, object.digest, object.size));
    if (Buffer.isBuffer(object.source)) {
      yield* append(object.source);
      continue;
    }
    const { file } = object.source;
    const descriptor = openSource(file);
    try {
      // Whole and in one piece: the common case, and the fast one.
      if (object.size < chunkBytes - used) {
        const end = used + object.size;
        fill(descriptor, file, chunk, used, end);
        if (sha256(chunk.subarray(used, end)) !== object.digest) throw changedWhileSent(file);
        used = end;
      } else {
        const hash = createHash('sha256');
        for (let left = object.size; left > 0;) {
          const end = Math.min(chunkBytes, used + left);
          fill(descriptor, file, chunk, used, end);
          hash.update(chunk.subarray(used, end));
          left -= end - used;
          used = end;
          if (used < chunkBytes) continue;
          yield chunk;
          chunk = Buffer.allocUnsafeSlow(chunkBytes);
          used = 0;
        }
        if (hash.digest('hex') !== object.digest) throw changedWhileSent(file);
      }
      if (readSync(descriptor, Buffer.alloc(1), 0, 1, null) !== 0) throw changedWhileSent(file);
    } finally {
      closeSync(descriptor);
    }
  }
  yield* append(packTail(records));
  if (used > 0) yield chunk.subarray(0, used);
}

/** The error for a file that is no longer what was hashed. */
export const changedWhileSent = (file: string): PaasError =>
  new PaasError('source_changed', `${file} changed while it was being sent.`, { details: { paths: [file] } });

function openSource(file: string): number {
  let descriptor: number | undefined;
  try {
    descriptor = openForReading(file);
  } catch (cause) {
    throw new PaasError('source_invalid', `Cannot read ${file}: ${reasonOf(cause)}.`, { cause });
  }
  if (descriptor === undefined) throw changedWhileSent(file);
  return descriptor;
}

/** Reads from the descriptor's position until `target` is full from `from` to `to`; a file that ends early has changed. */
function fill(descriptor: number, file: string, target: Buffer, from: number, to: number): void {
  for (let at = from; at < to;) {
    const read = readSync(descriptor, target, at, to - at, null);
    if (read === 0) throw changedWhileSent(file);
    at += read;
  }
}
