/** Garbage collection of the host's store: packs of which little is needed are rewritten without the rest. */
import { setImmediate } from 'node:timers/promises';
import { PaasError } from '../../shared/errors.ts';
import { packHead, packTail, recordHeader } from '../../shared/tree/pack.ts';
import { reach } from './missing.ts';
import type { ObjectStore } from './store.ts';

/** A pack is rewritten when less than this part of it is needed. */
const worthKeeping = 0.5;
/** More packs than this cost look-ups: small ones are joined. */
const manyPacks = 16;
const smallPack = 32 << 20;

/**
 * Removes what no tree of `keep` reaches. Nothing may read or write the store meanwhile.
 * @returns bytes of disk given back
 */
export async function collect(store: ObjectStore, keep: Iterable<string>): Promise<number> {
  const { reached } = await reach(store, keep);
  const packs = store.packs();
  const join = packs.length > manyPacks;
  let before = 0;
  const rewrite: string[] = [];
  const rescued = new Set<string>();
  for (const pack of packs) {
    let live = 0;
    const wanted: string[] = [];
    for (const { digest, length } of pack.objects()) {
      if (!reached.has(digest)) continue;
      live += length;
      wanted.push(digest);
    }
    if (live >= pack.bytes * worthKeeping && !(join && pack.bytes < smallPack)) continue;
    before += pack.bytes;
    rewrite.push(pack.id);
    for (const digest of wanted) rescued.add(digest);
  }
  const written = rescued.size === 0 ? 0 : await copy(store, rescued);
  for (const id of rewrite) store.remove(id);
  return before - written;
}

/** Copies objects into a pack of their own; damaged ones are left behind. */
async function copy(store: ObjectStore, digests: Set<string>): Promise<number> {
  const writer = store.writer();
  let bytes = 0;
  let count = 0;
  const write = (chunk: Buffer) => {
    bytes += chunk.length;
    writer.write(chunk);
  };
  try {
    write(packHead());
    for (const digest of digests) {
      if (!isSound(store, digest)) continue;
      write(recordHeader('blob', digest, store.size(digest)));
      for (const piece of store.pieces(digest)) write(piece);
      if (++count % 200 === 0) await setImmediate();
    }
    write(packTail(count));
    writer.finish();
    writer.commit();
    return bytes;
  } catch (error) {
    writer.abandon();
    throw error;
  }
}

function isSound(store: ObjectStore, digest: string): boolean {
  if (!store.has(digest)) return false;
  try {
    const pieces = store.pieces(digest);
    while (pieces.next().done !== true);
    return true;
  } catch (error) {
    if (error instanceof PaasError && error.code === 'corrupt') return false;
    throw error;
  }
}
