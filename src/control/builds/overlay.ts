import { encodeDirectory, type TreeEntry } from '../../shared/tree/directory.ts';
import { sha256 } from '../../shared/tree/hash.ts';
import type { BlobStore } from '../blobs/port.ts';

interface Node {
  files: Map<string, { bytes: Buffer; mode: number }>;
  directories: Map<string, Node>;
}

/**
 * The tree `root` with files added or replaced, stored; returns its digest. What a stack adds to an app (the static
 * file server) needs no build host this way.
 * @param files by path relative to the root
 */
export async function addFiles(
  blobs: BlobStore,
  root: string,
  files: Readonly<Record<string, { text: string; mode: number }>>,
): Promise<string> {
  const top: Node = { files: new Map(), directories: new Map() };
  for (const [path, { text, mode }] of Object.entries(files)) {
    const segments = path.split('/');
    const name = segments.pop() ?? '';
    let node = top;
    for (const segment of segments) {
      const next = node.directories.get(segment) ?? { files: new Map(), directories: new Map() };
      node.directories.set(segment, next);
      node = next;
    }
    node.files.set(name, { bytes: Buffer.from(text), mode });
  }
  const objects: Buffer[] = [];
  const entry = await merge(blobs, root, top, objects);
  await blobs.put(objects);
  return entry.digest;
}

async function merge(
  blobs: BlobStore,
  digest: string | null,
  node: Node,
  objects: Buffer[],
): Promise<{ digest: string; size: number }> {
  const entries = new Map<string, TreeEntry>();
  if (digest !== null) for (const entry of await blobs.readDir(digest)) entries.set(entry.name, entry);
  for (const [name, { bytes, mode }] of node.files) {
    objects.push(bytes);
    entries.set(name, {
      name,
      kind: 'file',
      mode: mode & 0o111 ? 0o755 : 0o644,
      size: bytes.length,
      digest: sha256(bytes),
    });
  }
  for (const [name, child] of node.directories) {
    const present = entries.get(name);
    const merged = await merge(blobs, present?.kind === 'dir' ? present.digest : null, child, objects);
    entries.set(name, { name, kind: 'dir', mode: 0o755, ...merged });
  }
  const bytes = encodeDirectory([...entries.values()]);
  objects.push(bytes);
  return { digest: sha256(bytes), size: bytes.length };
}
