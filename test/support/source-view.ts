/** Source trees for tests of stacks: out of a directory, or out of texts. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { SourceEntry, SourceView } from '../../src/stacks/port.ts';

const sha256 = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex');
const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : 1);

/** A view of files given as path -> text. */
export function textView(files: Record<string, string>): SourceView {
  const below = (dir: string): string[] =>
    Object.keys(files)
      .filter((path) => dir === '' || path.startsWith(`${dir}/`))
      .sort();
  return {
    list: (dir) => {
      const names = new Map<string, SourceEntry>();
      for (const path of below(dir)) {
        const [name = '', ...rest] = path.slice(dir === '' ? 0 : dir.length + 1).split('/');
        names.set(name, { name, kind: rest.length > 0 ? 'dir' : 'file' });
      }
      return Promise.resolve([...names.values()].sort(byName));
    },
    read: (path) => {
      const text = files[path];
      return Promise.resolve(text === undefined ? null : Buffer.from(text));
    },
    digestOf: (path) => {
      const text = files[path];
      const inside = below(path);
      if (text !== undefined) return Promise.resolve(sha256(text));
      return Promise.resolve(inside.length === 0 ? null : sha256(inside.map((at) => `${at}\0${files[at]}`).join('\0')));
    },
  };
}

/** A view of a directory on disk, read when asked. */
export function directoryView(root: string): SourceView {
  const at = (path: string): string => join(root, path);
  const kindOf = (path: string): 'file' | 'dir' | null => {
    const stats = statSync(at(path), { throwIfNoEntry: false });
    return stats === undefined ? null : stats.isDirectory() ? 'dir' : 'file';
  };
  const list = (dir: string): SourceEntry[] =>
    kindOf(dir) !== 'dir'
      ? []
      : readdirSync(at(dir), { withFileTypes: true })
          .map((entry): SourceEntry => ({
            name: entry.name,
            kind: entry.isDirectory() ? 'dir' : entry.isSymbolicLink() ? 'symlink' : 'file',
          }))
          .sort(byName);
  const digest = (path: string): string | null => {
    const kind = kindOf(path);
    if (kind === 'file') return sha256(readFileSync(at(path)));
    if (kind === null) return null;
    return sha256(
      list(path)
        .map(({ name }) => `${name}\0${digest(join(path, name))}`)
        .join('\0'),
    );
  };
  return {
    list: (dir) => Promise.resolve(list(dir)),
    read: (path) => Promise.resolve(kindOf(path) === 'file' ? readFileSync(at(path)) : null),
    digestOf: (path) => Promise.resolve(digest(path)),
  };
}
