/**
 * Writes a stored tree into a directory. Copies, never links: an app may write to its files. Synchronous file calls in
 * short turns: several times faster than a promise a file, while the event loop goes on.
 */
import {
  chownSync,
  closeSync,
  fchownSync,
  lchownSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { join } from 'node:path';
import { errnoOf, PaasError } from '../../shared/errors.ts';
import type { TreeEntry } from '../../shared/tree/directory.ts';
import type { ObjectStore } from './store.ts';

export interface Owner {
  uid: number;
  gid: number;
}

const turnMs = 8;
/** Larger objects are written in pieces. */
const wholeBytes = 1 << 20;
const maxDepth = 200;

/**
 * Makes `dest` with the tree's content in it. On failure nothing of it is left.
 * @param dest absolute; must not exist, its parent must
 * @throws PaasError `not_found` or `corrupt` for an object that has to be fetched (again), `disk_full`, `conflict` when
 *   `dest` exists
 */
export async function writeTree(store: ObjectStore, root: string, dest: string, owner?: Owner): Promise<void> {
  try {
    mkdirSync(dest, 0o755);
  } catch (cause) {
    if (errnoOf(cause) !== 'EEXIST') throw cause;
    throw new PaasError('conflict', `${dest} exists already`, { cause });
  }
  try {
    const steps = writeDirectory(store, root, dest, owner, 0);
    for (let turn = performance.now(); steps.next().done !== true;) {
      if (performance.now() - turn < turnMs) continue;
      await setImmediate();
      turn = performance.now();
    }
    if (owner) chownSync(dest, owner.uid, owner.gid);
  } catch (error) {
    rmSync(dest, { recursive: true, force: true });
    if (errnoOf(error) === 'ENOSPC') {
      throw new PaasError('disk_full', `no space left for the app's files in ${dest}`, { cause: error });
    }
    throw error;
  }
}

function* writeDirectory(
  store: ObjectStore,
  digest: string,
  dest: string,
  owner: Owner | undefined,
  depth: number,
): Generator<void> {
  if (depth > maxDepth) throw new PaasError('too_large', `the tree is deeper than ${maxDepth} directories at ${dest}`);
  for (const entry of store.directory(digest)) {
    const path = join(dest, entry.name);
    if (entry.kind === 'dir') {
      mkdirSync(path, 0o755);
      if (owner) chownSync(path, owner.uid, owner.gid);
      yield* writeDirectory(store, entry.digest, path, owner, depth + 1);
    } else if (entry.kind === 'link') {
      symlinkSync(store.read(entry.digest), path);
      if (owner) lchownSync(path, owner.uid, owner.gid);
    } else yield* writeFile(store, entry, path, owner);
    yield;
  }
}

function* writeFile(store: ObjectStore, entry: TreeEntry, path: string, owner: Owner | undefined): Generator<void> {
  // wx: never through a link, never into what is there.
  const fd = openSync(path, 'wx', entry.mode);
  try {
    if (entry.size <= wholeBytes) writeAll(fd, store.read(entry.digest));
    else {
      for (const piece of store.pieces(entry.digest)) {
        writeAll(fd, piece);
        yield;
      }
    }
    if (owner) fchownSync(fd, owner.uid, owner.gid);
  } finally {
    closeSync(fd);
  }
}

function writeAll(fd: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
}
