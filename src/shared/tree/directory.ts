/**
 * Directory objects: the inner nodes of the content-addressed tree.
 *
 *   paas-tree-1\n
 *   <kind> <size> <sha256 hex> <name>\0        one entry after the other, sorted by the bytes of the name
 *
 * kind: `f` file 0644, `x` file 0755, `d` directory, `l` symbolic link (its object is the target text). Size is that of
 * the object with this digest, in bytes. One tree has exactly one encoding, so equal trees have equal digests; decoding
 * refuses every other spelling.
 */
import { PaasError } from '../errors.ts';
import { isDigest } from './hash.ts';

export type EntryKind = 'file' | 'dir' | 'link';

export interface TreeEntry {
  /** One path segment, UTF-8, at most 255 bytes; never `.`, `..`, empty, or with `/` or NUL. */
  name: string;
  kind: EntryKind;
  /** Files 0o644 or 0o755; directories and links always 0o755. */
  mode: 0o644 | 0o755;
  /** Bytes of the object: of the file, of the link's target text, of the child's directory object. */
  size: number;
  /** sha256, lower-case hex. */
  digest: string;
}

export const treeMagic = Buffer.from('paas-tree-1\n');
/** About 300,000 entries. Directory objects are held in memory whole, so they need a bound. */
export const maxDirectoryBytes = 32 * 1024 * 1024;
const maxNameBytes = 255;

const letterOf = (entry: TreeEntry): string =>
  entry.kind === 'dir' ? 'd' : entry.kind === 'link' ? 'l' : entry.mode === 0o755 ? 'x' : 'f';

/** What is wrong with `name` as a path segment, or undefined. */
export function nameProblem(name: string): string | undefined {
  if (name === '' || name === '.' || name === '..') return 'is not a file name';
  if (name.includes('/') || name.includes('\0')) return 'contains a slash or NUL';
  // With the u flag the class matches only surrogates without a partner, which UTF-8 cannot spell.
  if (/[\ud800-\udfff]/u.test(name)) return 'is not valid Unicode';
  if (name.length > maxNameBytes / 3 && Buffer.byteLength(name) > maxNameBytes) return 'is longer than 255 bytes';
  return undefined;
}

/** Order of names by their UTF-8 bytes. It differs from JavaScript's where a character above U+D7FF decides. */
export function compareNames(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const [left, right] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (left === right) continue;
    return left < 0xd800 && right < 0xd800 ? left - right : Buffer.compare(Buffer.from(a), Buffer.from(b));
  }
  return a.length - b.length;
}

/** The canonical bytes of a directory. Entries may come in any order. Throws `source_invalid` for a bad or doubled name. */
export function encodeDirectory(entries: readonly TreeEntry[]): Buffer {
  const sorted = [...entries].sort((a, b) => compareNames(a.name, b.name));
  let text = treeMagic.toString('latin1');
  let previous: string | undefined;
  for (const entry of sorted) {
    const problem = nameProblem(entry.name) ?? (entry.name === previous ? 'appears twice' : undefined);
    if (problem) throw new PaasError('source_invalid', `The name ${JSON.stringify(entry.name)} ${problem}.`);
    if (!Number.isSafeInteger(entry.size) || entry.size < 0 || !isDigest(entry.digest))
      throw new PaasError('internal', `The entry ${JSON.stringify(entry.name)} has no valid size or digest.`);
    previous = entry.name;
    text += `${letterOf(entry)} ${entry.size} ${entry.digest} ${entry.name}\0`;
  }
  const bytes = Buffer.from(text);
  if (bytes.length > maxDirectoryBytes)
    throw new PaasError(
      'too_large',
      `A directory of ${sorted.length} entries is too large (limit: ${maxDirectoryBytes} bytes of names and digests).`,
    );
  return bytes;
}

const malformed = (reason: string): PaasError =>
  new PaasError('corrupt', `A directory object is malformed: ${reason}.`);

const kinds: Record<string, Pick<TreeEntry, 'kind' | 'mode'> | undefined> = {
  f: { kind: 'file', mode: 0o644 },
  x: { kind: 'file', mode: 0o755 },
  d: { kind: 'dir', mode: 0o755 },
  l: { kind: 'link', mode: 0o755 },
};

/** Whether `bytes` could be a directory object; only `decodeDirectory` says whether they are. */
export function looksLikeDirectory(bytes: Buffer): boolean {
  return bytes.length >= treeMagic.length && bytes.compare(treeMagic, 0, treeMagic.length, 0, treeMagic.length) === 0;
}

/** The entries of a directory object, in order. Throws `corrupt` for anything that `encodeDirectory` would not write. */
export function decodeDirectory(bytes: Buffer): TreeEntry[] {
  if (!looksLikeDirectory(bytes)) throw malformed('it does not begin with the magic text');
  if (bytes.length > maxDirectoryBytes) throw malformed('it is too large');
  const entries: TreeEntry[] = [];
  let previous: string | undefined;
  for (let at = treeMagic.length; at < bytes.length;) {
    const end = bytes.indexOf(0, at);
    if (end < 0) throw malformed('it ends within an entry');
    const line = bytes.toString('utf8', at, end);
    const entry = parseEntry(line);
    // U+FFFD is what the decoder puts in for bytes that are not UTF-8; a name may also hold it rightfully.
    if (line.includes('\ufffd') && Buffer.compare(Buffer.from(line), bytes.subarray(at, end)) !== 0)
      throw malformed('a name is not UTF-8');
    if (previous !== undefined && compareNames(previous, entry.name) >= 0)
      throw malformed('its names are not in order');
    previous = entry.name;
    entries.push(entry);
    at = end + 1;
  }
  return entries;
}

function parseEntry(line: string): TreeEntry {
  const type = kinds[line.charAt(0)];
  const afterSize = line.indexOf(' ', 2);
  const sizeText = line.slice(2, afterSize);
  const size = Number(sizeText);
  if (!type || line.charAt(1) !== ' ' || afterSize < 0) throw malformed('an entry has no kind or size');
  if (!Number.isSafeInteger(size) || size < 0 || String(size) !== sizeText) throw malformed('a size is not a number');
  const digest = line.slice(afterSize + 1, afterSize + 65);
  if (!isDigest(digest) || line.charAt(afterSize + 65) !== ' ') throw malformed('a digest is not sha256 hex');
  const name = line.slice(afterSize + 66);
  const problem = nameProblem(name);
  if (problem) throw malformed(`the name ${JSON.stringify(name)} ${problem}`);
  return { name, ...type, size, digest };
}
