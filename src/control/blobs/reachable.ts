/** Which objects a host needs for a tree that it does not have. */
import { setImmediate } from 'node:timers/promises';
import { PaasError } from '../../shared/errors.ts';
import type { TreeReader } from '../../shared/tree/reader.ts';

const sliceMs = 20;

/**
 * Digests of everything that `root` reaches (itself included), without what any tree of `have` reaches. Subtrees that
 * both share are not entered, so a small change in a large tree costs little. What is missing below `have` is passed
 * over: it is sent if `root` needs it. Throws `not_found` or `corrupt` for what is missing below `root`.
 */
export async function collectTree(reader: TreeReader, root: string, have: readonly string[] = []): Promise<string[]> {
  const present = new Set<string>();
  for (const tree of have) await visit(reader, tree, present, new Set(), true);
  const wanted = new Set<string>();
  await visit(reader, root, wanted, present, false);
  return [...wanted];
}

/** Adds what `root` reaches to `into`, without what is in `except` and what lies below that. */
async function visit(
  reader: TreeReader,
  root: string,
  into: Set<string>,
  except: ReadonlySet<string>,
  lenient: boolean,
): Promise<void> {
  if (except.has(root) || into.has(root)) return;
  into.add(root);
  const stack = [root];
  let restedAt = performance.now();
  for (let digest = stack.pop(); digest !== undefined; digest = stack.pop()) {
    const entries = await reader.readDir(digest).catch((error: unknown) => {
      if (!lenient || !(error instanceof PaasError) || !['not_found', 'corrupt'].includes(error.code)) throw error;
      into.delete(digest);
      return [];
    });
    for (const entry of entries) {
      if (except.has(entry.digest) || into.has(entry.digest)) continue;
      into.add(entry.digest);
      if (entry.kind === 'dir') stack.push(entry.digest);
    }
    if (performance.now() - restedAt > sliceMs) {
      await setImmediate();
      restedAt = performance.now();
    }
  }
}
