import { closeSync, fsyncSync, openSync, readSync, statSync } from 'node:fs';
import { PaasError, errnoOf } from '../../../shared/errors.ts';

/**
 * Refuses a database file that was cut off. SQLite itself takes one that ends within its first bytes for a new one, and
 * reads a last page that is half there as zeros (https://www.sqlite.org/fileformat.html, "The Database Header").
 * @throws PaasError corrupt, which names the file
 */
export function refuseStump(path: string): void {
  const size = sizeOf(path);
  if (size === 0) return;
  // What a kill interrupted while it was copied here is still in the log, from which SQLite takes it.
  const whole = hasLog(path) ? 512 : sizeInHeader(path);
  if (size >= whole) return;
  throw new PaasError('corrupt', `${path} is cut off: it has ${size} bytes, at least ${whole} belong to it.`, {
    hint: 'Restore it from a backup, or move it away and start anew. Nothing was changed.',
  });
}

/**
 * Refuses a write-ahead log that was cut off: SQLite takes what is left for the whole, and what was acknowledged since
 * would be gone without a word. The log's index (`-shm`, https://www.sqlite.org/walformat.html) is still there after a
 * kill and says how many pages there were. After a power cut it may be older than the log, but never ahead of it: a
 * commit is in the log, synced, before it is in the index.
 * @throws PaasError corrupt, which names the file
 */
export function refuseCutLog(path: string): void {
  const index = head(`${path}-shm`, 100);
  // Two equal copies, in the machine's byte order: else it was being written, and says nothing.
  if (index?.readUInt32LE(0) !== 3_007_000 || !index.subarray(0, 48).equals(index.subarray(48, 96))) return;
  const pages = index.readUInt32LE(16);
  const inDatabase = index.readUInt32LE(96);
  const log = head(`${path}-wal`, 32);
  const sameLog = log?.subarray(16, 24).equals(index.subarray(32, 40)) ?? true;
  const there = log ? Math.floor((sizeOf(`${path}-wal`) - 32) / (24 + log.readUInt32BE(8))) : 0;
  if (inDatabase >= pages || there >= pages || !sameLog) return;
  throw new PaasError('corrupt', `${path}-wal is cut off: it has ${there} pages of ${pages}.`, {
    hint: `Restore ${path}, its -wal and its -shm together from a backup. Without one: what is missing was changed last; moving ${path}-shm away starts with what is left. Nothing was changed.`,
  });
}

/** Makes the log's index durable, so that no power cut brings an earlier one back beside an emptied log. */
export function syncIndex(path: string): void {
  if (sizeOf(`${path}-shm`) === 0) return;
  const fd = openSync(`${path}-shm`, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** The first bytes of a file; undefined when it is not there or has less. */
function head(path: string, bytes: number): Buffer | undefined {
  if (sizeOf(path) < bytes) return undefined;
  const found = Buffer.alloc(bytes);
  const fd = openSync(path, 'r');
  try {
    return readSync(fd, found, 0, bytes, 0) === bytes ? found : undefined;
  } finally {
    closeSync(fd);
  }
}

/** Whether there is a write-ahead log: the database was not closed, but killed. */
export const hasLog = (path: string): boolean => sizeOf(`${path}-wal`) > 0;

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 0;
    throw error;
  }
}

/** What the header says of the file's size in bytes; 512, the smallest page, where it says nothing that counts. */
function sizeInHeader(path: string): number {
  const header = head(path, 100);
  if (!header) return 512;
  const counts = header.readUInt32BE(24) === header.readUInt32BE(92);
  if (header.toString('latin1', 0, 15) !== 'SQLite format 3' || !counts) return 512;
  const pageSize = header.readUInt16BE(16) === 1 ? 65_536 : header.readUInt16BE(16);
  return header.readUInt32BE(28) * pageSize;
}
