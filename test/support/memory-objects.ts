/** Objects and trees in memory, as a control plane has them. */
import { decodeDirectory, encodeDirectory, type TreeEntry } from '../../src/shared/tree/directory.ts';
import { sha256 } from '../../src/shared/tree/hash.ts';
import { encodePack, type PackObject } from '../../src/shared/tree/pack.ts';

export type Files = Record<string, string | Buffer | { text: string; mode: 0o644 | 0o755 } | { link: string }>;
interface Stored {
  kind: 'tree' | 'blob';
  bytes: Buffer;
}

export class MemoryObjects {
  readonly objects = new Map<string, Stored>();

  add(bytes: Buffer | string, kind: Stored['kind'] = 'blob'): string {
    const buffer = Buffer.from(bytes as string);
    const digest = sha256(buffer);
    this.objects.set(digest, { kind, bytes: buffer });
    return digest;
  }

  /** Stores a tree. Paths are separated by `/`. */
  addTree(files: Files): string {
    const below = new Map<string, Files>();
    const entries: TreeEntry[] = [];
    for (const [path, content] of Object.entries(files)) {
      const slash = path.indexOf('/');
      if (slash >= 0) {
        const name = path.slice(0, slash);
        below.set(name, { ...below.get(name), [path.slice(slash + 1)]: content });
        continue;
      }
      const plain = typeof content === 'string' || Buffer.isBuffer(content);
      const bytes = plain
        ? Buffer.from(content as string)
        : Buffer.from('link' in content ? content.link : content.text);
      const kind = !plain && 'link' in content ? 'link' : 'file';
      const mode = plain ? 0o644 : 'link' in content ? 0o755 : content.mode;
      entries.push({ name: path, kind, mode, size: bytes.length, digest: this.add(bytes) });
    }
    for (const [name, content] of below) {
      const digest = this.addTree(content);
      entries.push({ name, kind: 'dir', mode: 0o755, size: this.objects.get(digest)!.bytes.length, digest });
    }
    return this.add(encodeDirectory(entries), 'tree');
  }

  /** Files of a stored tree by path: text, or the target of a link as `-> target`. */
  readTree(root: string, prefix = ''): Record<string, string> {
    const found: Record<string, string> = {};
    for (const entry of decodeDirectory(this.objects.get(root)!.bytes)) {
      const path = prefix + entry.name;
      if (entry.kind === 'dir') Object.assign(found, this.readTree(entry.digest, `${path}/`));
      else found[path] = (entry.kind === 'link' ? '-> ' : '') + this.objects.get(entry.digest)!.bytes.toString();
    }
    return found;
  }

  /** Everything that a tree reaches, itself included. */
  reach(root: string): Set<string> {
    const found = new Set([root]);
    const stored = this.objects.get(root);
    if (stored) {
      for (const { kind, digest } of decodeDirectory(stored.bytes)) {
        if (kind === 'dir') for (const inner of this.reach(digest)) found.add(inner);
        else found.add(digest);
      }
    }
    return found;
  }

  /** The pack stream of those that there are. */
  pack(digests: readonly string[]): Buffer {
    const objects = digests.flatMap((digest): PackObject[] => {
      const stored = this.objects.get(digest);
      return stored ? [{ kind: stored.kind, digest, size: stored.bytes.length, source: stored.bytes }] : [];
    });
    return Buffer.concat([...encodePack(objects, 1 << 20)]);
  }
}
