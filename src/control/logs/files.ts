/** The little that segments need of the file system: bounded handles, whole writes, names. */
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, PaasError } from '../../shared/errors.ts';

const segmentName = /^(\d{10})\.seg$/;

export function segmentPath(directory: string, n: number): string {
  return join(directory, `${String(n).padStart(10, '0')}.seg`);
}

/** The number in a segment's file name, or null for other files. */
export function segmentNumber(name: string): number | null {
  const found = segmentName.exec(name);
  return found ? Number(found[1]) : null;
}

/** Writes all of it at a position; a write that the disk cuts short is continued, until an error says why. */
export async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** A new file with this content, durable with its name. Fails when the file exists. */
export async function createDurably(directory: string, path: string, content: Buffer): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await writeAll(file, content, 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await syncDirectory(directory);
}

/** Makes names created, renamed or removed in a directory durable. */
export async function syncDirectory(directory: string): Promise<void> {
  const file = await open(directory, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

interface Slot {
  file: Promise<FileHandle>;
  users: number;
}

/** Files kept open for writing: at most `limit` that nobody uses; the longest unused is closed first. */
export class HandleCache {
  readonly #limit: number;
  readonly #slots = new Map<string, Slot>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Runs `work` with the file, which exists. */
  async use<T>(path: string, work: (file: FileHandle) => Promise<T>): Promise<T> {
    const slot = this.#slots.get(path) ?? { file: open(path, 'r+'), users: 0 };
    this.#slots.delete(path);
    this.#slots.set(path, slot);
    slot.users += 1;
    try {
      return await work(await slot.file);
    } catch (error) {
      this.#slots.delete(path); // Whatever is wrong with this handle, the next use begins with a new one.
      throw error;
    } finally {
      slot.users -= 1;
      if (this.#slots.get(path) !== slot && slot.users === 0) await closeSlot(slot);
      await this.#shrink();
    }
  }

  /** Closes a file, so that it can be removed or renamed. */
  async release(path: string): Promise<void> {
    const slot = this.#slots.get(path);
    this.#slots.delete(path);
    if (slot?.users === 0) await closeSlot(slot);
  }

  async closeAll(): Promise<void> {
    for (const path of [...this.#slots.keys()]) await this.release(path);
  }

  async #shrink(): Promise<void> {
    for (const [path, slot] of this.#slots) {
      if (this.#slots.size <= this.#limit) return;
      if (slot.users > 0) continue;
      this.#slots.delete(path);
      await closeSlot(slot);
    }
  }
}

async function closeSlot(slot: Slot): Promise<void> {
  const file = await slot.file.catch(() => null); // Who opened it was told why it failed.
  await file?.close();
}

/** Why output was not stored, in the words of the table. */
export function storeError(cause: unknown): PaasError {
  const code = errnoOf(cause);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new PaasError('disk_full', 'the disk is full: output was not stored', { cause });
  }
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new PaasError('unavailable', `output was not stored: ${reason}`, { cause });
}
