/** What a store finds when it is opened: packs with or without a sidecar, and what a crash left behind. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { open, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { createHash } from 'node:crypto';
import { errnoOf } from '../../shared/errors.ts';
import { looksLikeDirectory } from '../../shared/tree/directory.ts';
import { packMagic, recordHeaderBytes } from '../../shared/tree/pack.ts';
import type { ObjectIndex } from './object-index.ts';
import type { PackFiles } from './pack-files.ts';
import { decodeSidecar, SidecarBuilder, type SidecarRecord } from './sidecar.ts';

/**
 * Registers all packs of the directory, oldest first, and their objects. Packs whose sidecar is missing or does not fit
 * are read whole and verified. Damage is reported and never deleted.
 * @returns what is damaged, for people
 */
export async function loadPacks(files: PackFiles, index: ObjectIndex): Promise<string[]> {
  const problems: string[] = [];
  const names = readdirSync(files.directory);
  const ids = names.filter((name) => name.endsWith('.pack')).map((name) => name.slice(0, -'.pack'.length));
  const known = new Set(ids);
  for (const name of names)
    if (name.endsWith('.idx') && !known.has(name.slice(0, -4))) await rm(join(files.directory, name), { force: true });
  let done = 0;
  for (const id of ids.sort()) {
    const { size, mtimeMs } = statSync(files.path(id));
    const pack = files.register(id, size, mtimeMs);
    const records = readSidecar(files.path(id, '.idx'), size) ?? (await scan(files, id, size, problems));
    for (const { digest, offset, size: bytes, tree } of records) index.set(digest, pack.number, offset, bytes, tree);
    if (++done % 100 === 0) await setImmediate();
  }
  return problems;
}

function readSidecar(path: string, packBytes: number): Iterable<SidecarRecord> | undefined {
  try {
    return decodeSidecar(readFileSync(path), packBytes);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined; // missing or unreadable: the pack itself says the same
  }
}

/** Reads a pack whole and writes its sidecar anew. An object that does not match its digest is left out. */
async function scan(
  files: PackFiles,
  id: string,
  packBytes: number,
  problems: string[],
): Promise<Iterable<SidecarRecord>> {
  const builder = new SidecarBuilder();
  const path = files.path(id);
  const problem = await scanRecords(path, packBytes, builder);
  if (problem) {
    problems.push(`${path}: ${problem}; ${builder.count} objects of it can be read.`);
  } else {
    await writeFile(files.path(id, '.idx'), builder.encode(packBytes), { mode: 0o600 }).catch((error: unknown) => {
      if (errnoOf(error) === undefined) throw error;
      problems.push(`${files.path(id, '.idx')} cannot be written: ${String(errnoOf(error))}.`);
    });
  }
  return builder.records();
}

const pieceBytes = 4 * 1024 * 1024;

/** Adds all sound objects of the pack to `builder`; returns what is wrong with the pack, if anything. */
async function scanRecords(path: string, packBytes: number, builder: SidecarBuilder): Promise<string | undefined> {
  const handle = await open(path, 'r');
  let problem: string | undefined;
  try {
    const buffer = Buffer.allocUnsafeSlow(pieceBytes);
    const read = async (at: number, length: number): Promise<Buffer> =>
      buffer.subarray(0, (await handle.read(buffer, 0, length, at)).bytesRead);
    if (!(await read(0, packMagic.length)).equals(packMagic)) return 'it does not begin like a pack';
    let at = packMagic.length;
    for (;;) {
      const header = await read(at, recordHeaderBytes);
      const letter = header.toString('latin1', 0, 1);
      if (letter === 'e' && header.length === recordHeaderBytes) return problem;
      if (header.length < recordHeaderBytes || (letter !== 't' && letter !== 'b'))
        return `it is cut short or overwritten at byte ${at}`;
      const digest = header.toString('hex', 1, 33);
      const size = Number(header.readBigUInt64BE(33));
      const from = at + recordHeaderBytes;
      at = from + size;
      if (at > packBytes) return `it is cut short at byte ${packBytes}`;
      const hash = createHash('sha256');
      let tree = letter === 't';
      for (let piece = from; piece < at; piece += pieceBytes) {
        const bytes = await read(piece, Math.min(pieceBytes, at - piece));
        if (piece === from) tree ||= looksLikeDirectory(bytes);
        hash.update(bytes);
      }
      if (hash.digest('hex') === digest) builder.add(digest, from, size, tree);
      else problem ??= `the object ${digest} at byte ${from} does not match its digest`;
    }
  } finally {
    await handle.close();
  }
}

export interface PartFile {
  id: string;
  path: string;
  totalBytes: number;
  bytes: number;
  touchedAt: number;
}

/** Name of the file of an unfinished upload; its size is declared in the name, so that it needs no second file. */
export const partName = (id: string, totalBytes: number): string => `${id}.${totalBytes}.part`;

/** The unfinished uploads in a directory. What a killed `collect` or `put` left (`*.tmp`) is removed. */
export async function loadParts(directory: string): Promise<PartFile[]> {
  const parts: PartFile[] = [];
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    const match = /^(pak_[0-9a-z]+)\.([0-9]+)\.part$/.exec(name);
    if (!match) {
      if (name.endsWith('.tmp')) await rm(path, { force: true });
      continue;
    }
    const { size, mtimeMs } = await stat(path);
    parts.push({ id: match[1]!, path, totalBytes: Number(match[2]), bytes: size, touchedAt: mtimeMs });
  }
  return parts;
}
