/** Walking stored trees by digest, each directory once, however often a tree names it. */
import { setImmediate } from 'node:timers/promises';
import { PaasError } from '../../shared/errors.ts';
import type { ObjectStore } from './store.ts';

const maxObjects = 2_000_000;
const turnMs = 8;

/** All digests that `roots` reach in the store, and those of them that the store lacks (directories first found). */
export async function reach(
  store: ObjectStore,
  roots: Iterable<string>,
): Promise<{ reached: Set<string>; missing: string[] }> {
  const reached = new Set<string>();
  const missing: string[] = [];
  const directories = [...new Set(roots)];
  for (const root of directories) reached.add(root);
  let turn = performance.now();
  for (let digest = directories.pop(); digest !== undefined; digest = directories.pop()) {
    if (!store.has(digest)) {
      missing.push(digest);
      continue;
    }
    for (const entry of directoryOrMissing(store, digest, missing)) {
      if (reached.has(entry.digest)) continue;
      if (reached.size >= maxObjects) throw new PaasError('too_large', `a tree has more than ${maxObjects} objects`);
      reached.add(entry.digest);
      if (entry.kind === 'dir') directories.push(entry.digest);
      else if (!store.has(entry.digest)) missing.push(entry.digest);
    }
    if (performance.now() - turn > turnMs) {
      await setImmediate();
      turn = performance.now();
    }
  }
  return { reached, missing };
}

/** A damaged directory object counts as missing: it is fetched again. */
function directoryOrMissing(store: ObjectStore, digest: string, missing: string[]) {
  try {
    return store.directory(digest);
  } catch (error) {
    if (!(error instanceof PaasError && error.code === 'corrupt')) throw error;
    missing.push(digest);
    return [];
  }
}
