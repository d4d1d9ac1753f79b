/** Files that must survive a power cut, and JSON state files that are never guessed at when damaged. */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type * as z from 'zod/mini';
import { errnoOf, PaasError } from './errors.ts';

/** Replaces a file as one step that survives a power cut: temporary file, fsync, rename, fsync of the directory. */
export function writeDurably(path: string, content: string | Uint8Array, mode = 0o600): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const fd = openSync(temporary, 'w', mode);
    try {
      writeFileSync(fd, content);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    // On a full disk it would take what space there is.
    rmSync(temporary, { force: true });
    throw error;
  }
  syncDirectory(dirname(path));
}

/** As `writeDurably`, where the file does not say so already. */
export function writeIfOther(path: string, content: string): void {
  try {
    if (readFileSync(path, 'utf8') === content) return;
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  writeDurably(path, content);
}

/**
 * As `writeDurably`, without stopping the program until the disk is done: for programs that have requests on their way.
 * One at a time for a path: the temporary file is always the same.
 */
export async function replaceDurably(path: string, content: string | Uint8Array, mode = 0o600): Promise<void> {
  const temporary = `${path}.tmp`;
  try {
    const file = await open(temporary, 'w', mode);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  const directory = await open(dirname(path), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Makes names that were added to or removed from a directory durable. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** A JSON file by its schema; undefined when there is none. Throws `corrupt`, which names the file. */
export function readJsonFile<T extends z.ZodMiniType>(path: string, schema: T): z.infer<T> | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw new PaasError('corrupt', `${path} cannot be read: it is damaged, or from another version`, { cause });
  }
}

/** As `readJsonFile`, for what its writer makes again: a damaged one (a power cut) is as good as none. */
export function readJsonFileIfSound<T extends z.ZodMiniType>(path: string, schema: T): z.infer<T> | undefined {
  try {
    return readJsonFile(path, schema);
  } catch (error) {
    if (error instanceof PaasError && error.code === 'corrupt') return undefined;
    throw error;
  }
}
