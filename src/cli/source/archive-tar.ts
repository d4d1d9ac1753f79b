import { createReadStream } from 'node:fs';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract, type ReadEntry } from 'tar';
import { PaasError } from '../../shared/errors.ts';
import type { ArchiveEntryType, ArchiveGuard } from './archive-guard.ts';

const types: Record<string, ArchiveEntryType | undefined> = {
  File: 'file',
  OldFile: 'file',
  ContiguousFile: 'file',
  Directory: 'dir',
  SymbolicLink: 'link',
  Link: 'hardlink',
};

/** Unpacks a tar, gzipped or not, into an empty directory. */
export async function unpackTar(file: string, gzip: boolean, into: string, guard: ArchiveGuard): Promise<void> {
  let unpacked = 0;
  const count = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      // The tar package would unpack a gzip in a gzip too, past this counter.
      const twice = unpacked === 0 && chunk[0] === 0x1f && chunk[1] === 0x8b;
      unpacked += chunk.length;
      try {
        if (twice) throw guard.damaged(new Error('it is compressed twice'));
        guard.checkBytes(unpacked);
        done(null, chunk);
      } catch (error) {
        done(error as Error);
      }
    },
  });
  const stop = new AbortController();
  let refused: unknown;
  const sink = extract({
    cwd: into,
    strict: true,
    zstd: false,
    noMtime: true,
    preserveOwner: false,
    filter: (_path, entry) => {
      if (refused !== undefined) return false;
      try {
        return admit(entry as ReadEntry, guard);
      } catch (error) {
        refused = error;
        stop.abort();
        return false;
      }
    },
  });
  try {
    const source = createReadStream(file);
    // The package's streams are not Node's own, but close enough for a pipeline.
    const target = sink as unknown as NodeJS.WritableStream;
    const stages = gzip ? [source, createGunzip(), count, target] : [source, count, target];
    await pipeline(stages, { signal: stop.signal });
  } catch (error) {
    const first = refused ?? error;
    throw first instanceof PaasError ? first : guard.damaged(first);
  }
}

/** Checks an entry and sets the mode it is unpacked with. */
function admit(entry: ReadEntry, guard: ArchiveGuard): boolean {
  const type = types[entry.type];
  if (type === undefined) throw guard.refuse(entry.path, `is of a kind that cannot be packaged (${entry.type})`);
  const path = guard.admit(entry.path, type, type === 'file' ? entry.size : 0, entry.linkpath ?? '');
  entry.mode = type === 'dir' || ((entry.mode ?? 0) & 0o100) !== 0 ? 0o755 : 0o644;
  return path !== '';
}
