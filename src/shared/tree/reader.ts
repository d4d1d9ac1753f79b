/** Reading stored trees: what a store of objects offers, and what can be asked of any such store. */
import { PaasError } from '../errors.ts';
import type { TreeEntry } from './directory.ts';

export interface TreeReader {
  /** Entries of a stored directory object. Throws `not_found` or `corrupt`. */
  readDir(digest: string): Promise<TreeEntry[]>;
  /** A whole object; for small files (manifests, lock files). Throws `not_found`, `corrupt` or `too_large`. */
  readBlob(digest: string): Promise<Buffer>;
}

export interface ListedEntry extends TreeEntry {
  /** Segments joined by `/`, relative to the root. */
  path: string;
}

/**
 * The entry at `path`, or undefined if there is none. Links are not followed. The root itself has no entry.
 * @param path segments joined by `/`
 */
export async function lookup(reader: TreeReader, root: string, path: string): Promise<TreeEntry | undefined> {
  let directory = root;
  let found: TreeEntry | undefined;
  for (const segment of path.split('/')) {
    if (found && found.kind !== 'dir') return undefined;
    found = (await reader.readDir(directory)).find((entry) => entry.name === segment);
    if (!found) return undefined;
    directory = found.digest;
  }
  return found;
}

/** A tree may name one subtree many times over, so a small one can list as billions of files; these bounds stop that. */
export const defaultListLimits = { maxEntries: 1_000_000, maxDepth: 200 };

/** Every file and link below `root`, depth first, in the order of names; directories too with `directories: true`. */
export async function* listFiles(
  reader: TreeReader,
  root: string,
  options: { directories?: boolean; maxEntries?: number; maxDepth?: number } = {},
): AsyncGenerator<ListedEntry> {
  const { maxEntries, maxDepth } = { ...defaultListLimits, ...options };
  let seen = 0;
  const stack = [{ prefix: '', entries: await reader.readDir(root), next: 0 }];
  for (let top = stack.at(-1); top; top = stack.at(-1)) {
    const entry = top.entries[top.next++];
    if (!entry) {
      stack.pop();
      continue;
    }
    if (++seen > maxEntries) throw new PaasError('too_large', `The tree has more than ${maxEntries} entries.`);
    const path = top.prefix + entry.name;
    if (entry.kind !== 'dir' || options.directories === true) yield { ...entry, path };
    if (entry.kind !== 'dir') continue;
    if (stack.length >= maxDepth)
      throw new PaasError('too_large', `The tree is deeper than ${maxDepth} directories at ${JSON.stringify(path)}.`);
    stack.push({ prefix: `${path}/`, entries: await reader.readDir(entry.digest), next: 0 });
  }
}
