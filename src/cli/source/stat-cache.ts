/**
 * What the last walk of a directory found, on disk: one compact binary file for each directory that was ever pushed, of
 * which only strings of names have to be made at the next start. A cache only: whatever is wrong with it, it is ignored
 * and written anew.
 *
 *   "paascch2" | sha256 of all that follows 32 | record …
 *   record: bytes of the whole record 4 | entries 4 | bytes of names, letters, object, path, rules key 5 × 4 | own rules 1
 *           | mtimeMs, ctimeMs, ino 3 × 8 | directory digest 32 | stats 32 an entry | the five texts
 */
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../../shared/errors.ts';
import { newId } from '../../shared/ids.ts';
import { statColumns, type DirectoryRecord, type WalkCache } from '../../shared/tree/walk-cache.ts';

const magic = Buffer.from('paascch2');
const headBytes = magic.length + 32;
const fixedBytes = 4 + 4 + 5 * 4 + 1 + 3 * 8 + 32;

export class StatCache implements WalkCache {
  readonly #file: string;
  readonly #bytes: Buffer;
  /** Where the record of a path begins; replaced by the record once it was asked for. */
  readonly #records = new Map<string, number | DirectoryRecord>();

  private constructor(file: string, bytes: Buffer) {
    this.#file = file;
    this.#bytes = bytes;
  }

  /**
   * @param home PAAS_HOME
   * @param directory absolute path of the source, resolved
   */
  static open(home: string, directory: string): StatCache {
    const name = createHash('sha256').update(directory).digest('hex').slice(0, 32);
    const file = join(home, 'cache', `${name}.tree`);
    const cache = new StatCache(file, read(file));
    cache.#index();
    return cache;
  }

  get(path: string): DirectoryRecord | undefined {
    const found = this.#records.get(path);
    if (typeof found !== 'number') return found;
    const record = decode(this.#bytes, found);
    this.#records.set(path, record);
    return record;
  }

  /** Replaces the cache's content; readable for the user alone, since it says what the files are called. */
  save(directories: readonly DirectoryRecord[]): void {
    const body = Buffer.concat(directories.flatMap(encode));
    const temporary = `${this.#file}.${newId('tmp')}`;
    try {
      mkdirSync(join(this.#file, '..'), { recursive: true, mode: 0o700 });
      writeFileSync(temporary, Buffer.concat([magic, createHash('sha256').update(body).digest(), body]), {
        mode: 0o600,
      });
      chmodSync(temporary, 0o600);
      renameSync(temporary, this.#file);
    } catch (error) {
      // Without a cache (a full or read-only home) everything works, only slower.
      if (existsSync(temporary)) rmSync(temporary);
      if (errnoOf(error) === undefined) throw error;
    }
  }

  #index(): void {
    const bytes = this.#bytes;
    for (let at = headBytes; at < bytes.length; at += bytes.readUInt32LE(at)) {
      const pathBytes = bytes.readUInt32LE(at + 20);
      const keyBytes = bytes.readUInt32LE(at + 24);
      const end = at + bytes.readUInt32LE(at);
      this.#records.set(bytes.toString('utf8', end - keyBytes - pathBytes, end - keyBytes), at);
    }
  }
}

/** The cache file's content, or nothing when it is missing or not what was written. */
function read(file: string): Buffer {
  const nothing = Buffer.alloc(0);
  try {
    const bytes = readFileSync(file);
    if (bytes.length < headBytes || !bytes.subarray(0, magic.length).equals(magic)) return nothing;
    const digest = createHash('sha256').update(bytes.subarray(headBytes)).digest();
    return digest.equals(bytes.subarray(magic.length, headBytes)) ? bytes : nothing;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return nothing;
  }
}

function encode(record: DirectoryRecord): Buffer[] {
  const names = Buffer.from(record.names.join('\0'));
  const letters = Buffer.from(record.letters);
  const path = Buffer.from(record.path);
  const key = Buffer.from(record.rulesKey);
  const { stats, object } = record;
  const texts = [names, letters, object, path, key];
  const head = Buffer.alloc(fixedBytes);
  const total = fixedBytes + stats.byteLength + texts.reduce((sum, text) => sum + text.length, 0);
  head.writeUInt32LE(total, 0);
  head.writeUInt32LE(record.names.length, 4);
  texts.forEach((text, i) => head.writeUInt32LE(text.length, 8 + i * 4));
  head[28] = record.ownRules ? 1 : 0;
  head.writeDoubleLE(record.mtimeMs, 29);
  head.writeDoubleLE(record.ctimeMs, 37);
  head.writeDoubleLE(record.ino, 45);
  head.write(record.digest, 53, 'hex');
  return [head, Buffer.from(stats.buffer, stats.byteOffset, stats.byteLength), ...texts];
}

function decode(bytes: Buffer, at: number): DirectoryRecord {
  const count = bytes.readUInt32LE(at + 4);
  const stats = new Float64Array(count * statColumns);
  let from = at + fixedBytes;
  bytes.copy(new Uint8Array(stats.buffer), 0, from, from + stats.byteLength);
  from += stats.byteLength;
  const texts = [0, 1, 2, 3, 4].map((i) => {
    const start = from;
    from += bytes.readUInt32LE(at + 8 + i * 4);
    return bytes.subarray(start, from);
  });
  const [names, letters, object, path, key] = texts as [Buffer, Buffer, Buffer, Buffer, Buffer];
  return {
    path: path.toString(),
    mtimeMs: bytes.readDoubleLE(at + 29),
    ctimeMs: bytes.readDoubleLE(at + 37),
    ino: bytes.readDoubleLE(at + 45),
    rulesKey: key.toString(),
    ownRules: bytes[at + 28] === 1,
    names: count === 0 ? [] : names.toString().split('\0'),
    letters: letters.toString('latin1'),
    stats,
    object,
    digest: bytes.toString('hex', at + 53, at + 85),
  };
}
