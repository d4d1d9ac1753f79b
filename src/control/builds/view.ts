import type { SourceEntry, SourceView } from '../../stacks/port.ts';
import { lookup, type TreeReader } from '../../shared/tree/reader.ts';

/** A stored source tree as stacks see it. Links are listed but not followed. */
export function viewOf(reader: TreeReader, root: string): SourceView {
  return {
    async list(dir) {
      const digest = dir === '' ? root : await directoryAt(dir);
      if (digest === null) return [];
      const entries = await reader.readDir(digest);
      return entries.map((entry): SourceEntry => ({
        name: entry.name,
        kind: entry.kind === 'link' ? 'symlink' : entry.kind,
      }));
    },
    async read(path) {
      const entry = await lookup(reader, root, path);
      return entry?.kind === 'file' ? reader.readBlob(entry.digest) : null;
    },
    async digestOf(path) {
      if (path === '') return root;
      return (await lookup(reader, root, path))?.digest ?? null;
    },
  };

  async function directoryAt(path: string): Promise<string | null> {
    const entry = await lookup(reader, root, path);
    return entry?.kind === 'dir' ? entry.digest : null;
  }
}
