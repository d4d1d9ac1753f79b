/** Pack streams out of the store. A record lies in a pack's file just as it goes over the wire, so ranges are sent as they are. */
import { maxDirectoryBytes } from '../../shared/tree/directory.ts';
import { sha256 } from '../../shared/tree/hash.ts';
import { packBytes, packHead, packTail, recordHeader, recordHeaderBytes } from '../../shared/tree/pack.ts';
import type { ObjectPlace } from './object-index.ts';
import type { Objects } from './objects.ts';

/** How much is read at once. */
const rangeBytes = 2 * 1024 * 1024;

/**
 * Looks all objects up before the first byte is sent, so that `not_found` is an answer and not a broken stream.
 * @returns the stream's bytes and its size
 */
export function packOf(
  objects: Objects,
  digests: readonly string[],
): { source: AsyncGenerator<Buffer>; bytes: number } {
  const places = [...new Set(digests)].map((digest) => objects.locate(digest));
  places.sort((a, b) => a.pack - b.pack || a.offset - b.offset);
  return { source: records(objects, places), bytes: packBytes(places) };
}

async function* records(objects: Objects, wanted: ObjectPlace[]): AsyncGenerator<Buffer> {
  yield packHead();
  for (let i = 0; i < wanted.length;) {
    // Looked up again each time: meanwhile `collect` may have moved what comes next.
    const first = objects.locate(wanted[i]!.digest);
    if (first.size > rangeBytes) {
      yield headerOf(first);
      yield* objects.pieces(first.digest);
      i++;
      continue;
    }
    const run = [first];
    let end = first.offset + first.size;
    while (i + run.length < wanted.length && end - first.offset < rangeBytes) {
      const next = objects.locate(wanted[i + run.length]!.digest);
      if (next.pack !== first.pack || next.offset !== end + recordHeaderBytes || next.size > rangeBytes) break;
      run.push(next);
      end = next.offset + next.size;
    }
    yield await readRun(objects, run, end);
    i += run.length;
  }
  yield packTail(wanted.length);
}

/** Neighbours in one pack, with headers, each verified. */
async function readRun(objects: Objects, run: ObjectPlace[], end: number): Promise<Buffer> {
  const first = run[0]!;
  const start = first.offset - recordHeaderBytes;
  let bytes: Buffer;
  try {
    bytes = await objects.files.read(first.pack, start, end - start);
  } catch (error) {
    for (const { digest } of run) await objects.whole(digest, rangeBytes); // finds out which of them is damaged
    throw error;
  }
  for (const place of run) {
    const at = place.offset - start;
    if (sha256(bytes.subarray(at, at + place.size)) !== place.digest) throw objects.found(place);
    // No digest covers the header on disk, so it is written anew.
    headerOf(place).copy(bytes, at - recordHeaderBytes);
  }
  return bytes;
}

const headerOf = ({ tree, size, digest }: ObjectPlace): Buffer =>
  recordHeader(tree && size <= maxDirectoryBytes ? 'tree' : 'blob', digest, size);
