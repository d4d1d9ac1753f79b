/**
 * Reading: the blocks of a snapshot of segments, merged by time. A segment is opened when the merge reaches its
 * earliest block, so normally one or two are open however long the log is.
 */
import { open, readFile } from 'node:fs/promises';
import { errnoOf } from '../../shared/errors.ts';
import { segmentPath } from './files.ts';
import { wantsBlock, wantsSegment } from './filter.ts';
import type { LogQuery } from './port.ts';
import { scanSegment, type StoredBlock, type Summary } from './segment.ts';

/** What a reader looks at: segments as long as they were then, and places in the order of arrival [minOrd, maxOrd). */
export interface Snapshot {
  directory: string;
  segments: readonly Summary[];
  minOrd: number;
  maxOrd: number;
}

/** A block to be read, with its segment's bytes where they are in memory; or a segment that retention took. */
export type ReadItem = BlockItem | { dropped: Summary };

export interface BlockItem {
  block: StoredBlock;
  file: Buffer | null;
}

/** So many opened segments keep their bytes in memory; of more, payloads are read one by one. */
const maxBuffers = 4;

/** The blocks of one segment that a query wants, by time, then arrival. Null when the file is gone. */
export async function readSegment(
  snapshot: Snapshot,
  query: LogQuery,
  summary: Summary,
): Promise<{ blocks: StoredBlock[]; file: Buffer } | null> {
  let file: Buffer;
  try {
    file = await readFile(segmentPath(snapshot.directory, summary.n));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw error;
  }
  // Beyond that length are blocks that arrived later, perhaps half written.
  if (file.length > summary.bytes) file = file.subarray(0, summary.bytes);
  const { blocks } = await scanSegment(summary.n, file);
  const wanted = blocks.filter(
    (block) =>
      block.ord >= snapshot.minOrd &&
      block.ord < snapshot.maxOrd &&
      (query.since === undefined || block.ts >= query.since) &&
      (query.until === undefined || block.ts <= query.until) &&
      wantsBlock(query, block),
  );
  return { blocks: wanted.sort(byTime), file };
}

/** The segments that may hold an answer. */
export function wantedSegments(snapshot: Snapshot, query: LogQuery): Summary[] {
  return snapshot.segments.filter((summary) => wantsSegment(query, snapshot.minOrd, summary));
}

export function byTime(a: { ts: number; ord: number }, b: { ts: number; ord: number }): number {
  return a.ts - b.ts || a.ord - b.ord;
}

interface OpenSegment {
  n: number;
  blocks: StoredBlock[];
  at: number;
  file: Buffer | null;
}

/** Everything that a query wants, in order. */
export async function* readBlocks(snapshot: Snapshot, query: LogQuery): AsyncGenerator<ReadItem> {
  const waiting = wantedSegments(snapshot, query).sort((a, b) => a.ts![0] - b.ts![0] || a.n - b.n);
  const opened: OpenSegment[] = [];
  for (;;) {
    let first = earliest(opened);
    while (waiting.length > 0 && (!first || waiting[0]!.ts![0] <= head(first).ts)) {
      const summary = waiting.shift()!;
      const segment = await readSegment(snapshot, query, summary);
      if (!segment) yield { dropped: summary };
      else if (segment.blocks.length > 0) {
        const buffers = opened.filter(({ file }) => file !== null).length;
        const file = buffers < maxBuffers ? segment.file : null;
        opened.push({ n: summary.n, blocks: segment.blocks, at: 0, file });
      }
      first = earliest(opened);
    }
    if (!first) return;
    const block = head(first);
    const { file } = first;
    first.at += 1;
    if (first.at === first.blocks.length) opened.splice(opened.indexOf(first), 1);
    yield { block, file };
  }
}

function head(segment: OpenSegment): StoredBlock {
  return segment.blocks[segment.at]!;
}

function earliest(opened: readonly OpenSegment[]): OpenSegment | null {
  let first: OpenSegment | null = null;
  for (const segment of opened) if (!first || byTime(head(segment), head(first)) < 0) first = segment;
  return first;
}

/** A block's bytes, out of the segment's where those are in memory. Null when retention took the file. */
export function payloadOf(directory: string, { block, file }: BlockItem): Buffer | Promise<Buffer | null> {
  return file ? file.subarray(block.payloadAt, block.payloadAt + block.bytes) : readPayload(directory, block);
}

async function readPayload(directory: string, block: StoredBlock): Promise<Buffer | null> {
  try {
    const handle = await open(segmentPath(directory, block.segment), 'r');
    try {
      const payload = Buffer.alloc(block.bytes);
      const { bytesRead } = await handle.read(payload, 0, payload.length, block.payloadAt);
      return bytesRead === payload.length ? payload : null;
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw error;
  }
}
