/** Hashing files that somebody may be writing to. Synchronous: several times faster than promises on many small files. */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { createHash } from 'node:crypto';
import { errnoOf } from '../errors.ts';
import { sha256 } from './hash.ts';

/** Larger files are hashed in pieces of this size. */
const pieceBytes = 4 * 1024 * 1024;

const scratch = { buffer: Buffer.alloc(0) };

export interface HashedFile {
  digest: string;
  /** The content that was hashed, valid until the next call; absent for files of more than 4 MiB. */
  content: Buffer | undefined;
}

/**
 * Hashes a regular file. Yields between the pieces of a large one, so that the caller can let the event loop run.
 * @param before its lstat; size, times, inode and mode are compared with it afterwards
 * @returns undefined when the file changed, went away or is no longer a regular file
 * @throws the file system's errors
 */
export function* hashFile(file: string, before: Stats): Generator<void, HashedFile | undefined> {
  const descriptor = openForReading(file);
  if (descriptor === undefined) return undefined;
  try {
    const hashed =
      before.size < pieceBytes ? hashWhole(descriptor, before.size) : yield* hashPieces(descriptor, before.size);
    return hashed && isSame(before, fstatSync(descriptor)) ? hashed : undefined;
  } finally {
    closeSync(descriptor);
  }
}

function hashWhole(descriptor: number, size: number): HashedFile | undefined {
  // One byte more than expected, so that a file that grew is noticed.
  const buffer = scratchOf(size + 1);
  let total = 0;
  for (let read = 1; read > 0 && total <= size; total += read)
    read = readSync(descriptor, buffer, total, size + 1 - total, null);
  if (total !== size) return undefined;
  const content = buffer.subarray(0, size);
  return { digest: sha256(content), content };
}

function* hashPieces(descriptor: number, size: number): Generator<void, HashedFile | undefined> {
  const hash = createHash('sha256');
  let total = 0;
  for (let read = 1; read > 0 && total <= size; total += read) {
    const buffer = scratchOf(pieceBytes);
    read = readSync(descriptor, buffer, 0, pieceBytes, null);
    hash.update(buffer.subarray(0, read));
    yield;
  }
  return total === size ? { digest: hash.digest('hex'), content: undefined } : undefined;
}

/** Opens without following a link or waiting for a pipe's writer; undefined when the file is gone or something else now. */
export function openForReading(file: string): number | undefined {
  try {
    return openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT' || errno === 'ELOOP' || errno === 'ENOTDIR') return undefined;
    throw error;
  }
}

const isSame = (a: Stats, b: Stats): boolean =>
  a.size === b.size && a.mtimeMs === b.mtimeMs && a.ctimeMs === b.ctimeMs && a.ino === b.ino && a.mode === b.mode;

/** One buffer for all files: allocating and clearing one for each would cost more than reading it. */
function scratchOf(bytes: number): Buffer {
  if (scratch.buffer.length < bytes) scratch.buffer = Buffer.allocUnsafeSlow(Math.max(bytes, 256 * 1024));
  return scratch.buffer;
}
