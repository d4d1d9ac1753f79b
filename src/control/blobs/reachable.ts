import type { TreeReader } from '../../shared/tree/reader.ts';

/**
 * Digests of everything that `root` reaches (itself included), without what any tree of `have` reaches. Subtrees that
 * both share are not entered, so a small change in a large tree costs little.
 */
export async function collectTree(reader: TreeReader, root: string, have: readonly string[]): Promise<string[]> {
  const present = new Set<string>();
  const visit = async (digest: string, into: Set<string>, except: ReadonlySet<string>): Promise<void> => {
    if (into.has(digest) || except.has(digest)) return;
    into.add(digest);
    for (const entry of await reader.readDir(digest)) {
      if (entry.kind === 'dir') await visit(entry.digest, into, except);
      else if (!except.has(entry.digest)) into.add(entry.digest);
    }
  };
  for (const tree of have) await visit(tree, present, new Set());
  const wanted = new Set<string>();
  await visit(root, wanted, present);
  return [...wanted];
}
