/** What a walk remembers of a directory, so that the next walk reads only what changed. Kept on disk by cli/source. */
import type { Stats } from 'node:fs';
import { compareNames, type TreeEntry } from './directory.ts';

export interface DirectoryRecord {
  /** Relative to the walk's base, segments joined by `/`; '' for the base itself. */
  path: string;
  /** Of the directory; NaN when it changed so recently that its list of names must not be trusted. */
  mtimeMs: number;
  ctimeMs: number;
  ino: number;
  /** The rules under which `names` were chosen. */
  rulesKey: string;
  /** Whether the directory has an ignore file of its own (which may itself be left out). */
  ownRules: boolean;
  /** Entries of the source, in the order of the directory object. */
  names: string[];
  /** One letter an entry: f, x, d or l, as in the directory object. */
  letters: string;
  /** Four numbers an entry: size, mtimeMs, ctimeMs, ino. mtimeMs is NaN where the next walk must read the file again. */
  stats: Float64Array;
  /** The directory object and its digest. */
  object: Buffer;
  digest: string;
}

export interface WalkCache {
  /** The same object for the same path, each time. */
  get(path: string): DirectoryRecord | undefined;
}

export const statColumns = 4;
const typeMask = 0o170000;
export const typeOf = { file: 0o100000, dir: 0o040000, link: 0o120000 } as const;

/** The letter of an entry's kind, or undefined for sockets, pipes and devices. Executable means for its owner, as in git. */
export function letterOf(stat: Stats): 'f' | 'x' | 'd' | 'l' | undefined {
  const type = stat.mode & typeMask;
  if (type === typeOf.file) return stat.mode & 0o100 ? 'x' : 'f';
  return type === typeOf.dir ? 'd' : type === typeOf.link ? 'l' : undefined;
}

/** Whether entry number `place` of the record is certainly still what it was. */
export function isKnown(record: DirectoryRecord, place: number, stat: Stats, letter: string): boolean {
  const at = place * statColumns;
  const { stats } = record;
  return (
    record.letters[place] === letter &&
    stats[at] === stat.size &&
    stats[at + 1] === stat.mtimeMs &&
    stats[at + 2] === stat.ctimeMs &&
    stats[at + 3] === stat.ino
  );
}

/**
 * Whether what was read after `readAfter` (ms since 1970) of something with these times can be told from a later change
 * by the times alone. A change within one tick of the file system's clock leaves them as they are (git's "racy"
 * problem): ticks are up to 10 ms on Linux, and 2 s on file systems that keep whole seconds.
 */
export function isTrusted(stat: Stats, readAfter: number): boolean {
  const tick = stat.ctimeMs % 1000 === 0 ? 2500 : 50;
  return Math.max(stat.mtimeMs, stat.ctimeMs) < readAfter - tick;
}

/** Whether a directory's list of names is unchanged. Never where the file system keeps whole seconds (FAT and its like). */
export function sameListing(record: DirectoryRecord, stat: Stats): boolean {
  return (
    record.mtimeMs === stat.mtimeMs &&
    record.ctimeMs === stat.ctimeMs &&
    record.ino === stat.ino &&
    stat.mtimeMs % 1000 !== 0
  );
}

export interface SeenEntry {
  entry: TreeEntry;
  letter: string;
  stat: Stats;
}

export interface SeenDirectory {
  path: string;
  stat: Stats;
  rulesKey: string;
  ownRules: boolean;
  entries: SeenEntry[];
  object: Buffer;
  digest: string;
  readAfter: number;
  /** False when something vanished while it was being read. */
  complete: boolean;
}

export function makeRecord(seen: SeenDirectory): DirectoryRecord {
  const entries = [...seen.entries].sort((a, b) => compareNames(a.entry.name, b.entry.name));
  const stats = new Float64Array(entries.length * statColumns);
  entries.forEach(({ stat }, i) => {
    const mtime = isTrusted(stat, seen.readAfter) ? stat.mtimeMs : NaN;
    stats.set([stat.size, mtime, stat.ctimeMs, stat.ino], i * statColumns);
  });
  return {
    path: seen.path,
    mtimeMs: seen.complete && isTrusted(seen.stat, seen.readAfter) ? seen.stat.mtimeMs : NaN,
    ctimeMs: seen.stat.ctimeMs,
    ino: seen.stat.ino,
    rulesKey: seen.rulesKey,
    ownRules: seen.ownRules,
    names: entries.map(({ entry }) => entry.name),
    letters: entries.map(({ letter }) => letter).join(''),
    stats,
    object: seen.object,
    digest: seen.digest,
  };
}
