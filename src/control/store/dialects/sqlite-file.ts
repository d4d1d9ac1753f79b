import { closeSync, openSync, readSync, statSync } from 'node:fs';
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
  const header = Buffer.alloc(100);
  const fd = openSync(path, 'r');
  try {
    if (readSync(fd, header, 0, 100, 0) < 100) return 512;
  } finally {
    closeSync(fd);
  }
  const counts = header.readUInt32BE(24) === header.readUInt32BE(92);
  if (header.toString('latin1', 0, 15) !== 'SQLite format 3' || !counts) return 512;
  const pageSize = header.readUInt16BE(16) === 1 ? 65_536 : header.readUInt16BE(16);
  return header.readUInt32BE(28) * pageSize;
}
