/**
 * The content of a segment file: a head, then blocks. The head carries what all earlier segments say (a checkpoint of
 * the positions and a summary of each segment), so that opening a log reads its newest segment only, and dropping old
 * ones loses nothing but their lines.
 */
import { setImmediate } from 'node:timers/promises';
import { laterVersion } from '../../shared/data-format.ts';
import { encodeFrame, findFrame, readFrame } from './frame.ts';
import type { Block, Gap, Origin } from './lines.ts';
import type { PositionRow } from './positions.ts';

export const segmentVersion = 1;

/** What queries need to know of a segment to leave it alone. */
export interface Summary {
  n: number;
  bytes: number;
  lines: number;
  /** First place in the order of arrival, and the one after the last. */
  ord: number;
  nextOrd: number;
  /** Time of the earliest and of the latest block; null when there is none. */
  ts: [number, number] | null;
  /** When it was last written, by this machine's clock: what retention by age goes by. */
  writtenAt: number;
  /** What occurs in it (see `tagsOf`); null when that is too much to list. */
  tags: string[] | null;
}

export interface Head {
  version: number;
  n: number;
  ord: number;
  createdAt: number;
  /** Lines that retention has dropped so far. */
  droppedLines: number;
  positions: PositionRow[];
  segments: Summary[];
}

/** A block and where its bytes are. */
export interface StoredBlock extends Block {
  segment: number;
  payloadAt: number;
  bytes: number;
  /** Offset in its stream of the first byte. */
  from: number;
}

interface BlockHeader {
  o: number;
  i: number;
  m?: Origin;
  s: 0 | 1;
  f: number;
  t: number;
  q: number;
  n: number;
  l?: 1;
  p?: 1;
  g?: Gap;
}

export function encodeHead(head: Head): Buffer {
  return encodeFrame({ head }, Buffer.alloc(0))[0];
}

/** `index` stands for the origin in this segment; the first block that uses it has to spell the origin out. */
export function encodeBlock(
  block: Block & { from: number },
  index: number,
  spellOut: boolean,
  payload: Buffer,
): [Buffer, Buffer] {
  const header: BlockHeader = {
    o: block.ord,
    i: index,
    ...(spellOut ? { m: block.origin } : {}),
    s: block.stream === 'stdout' ? 0 : 1,
    f: block.from,
    t: block.ts,
    q: block.seq,
    n: block.lines,
    ...(block.long ? { l: 1 } : {}),
    ...(block.partial ? { p: 1 } : {}),
    ...(block.gap ? { g: block.gap } : {}),
  };
  return encodeFrame(header, payload);
}

export interface SegmentScan {
  /** Null when the file's begin is damaged. */
  head: Head | null;
  blocks: StoredBlock[];
  /** Every origin and where in the file it was spelt out. */
  origins: { origin: Origin; index: number; at: number }[];
  /** Where the last sound frame ends. */
  end: number;
  /** Bytes between sound frames that are none. */
  damaged: number;
}

/** An origin that was spelt out in a damaged frame. */
const unknownOrigin: Origin = { id: '?', name: '?', process: '?', release: null, source: 'app' };

/**
 * All sound frames of a segment file. Damage is stepped over, and what it took is added to the gap before the next
 * block of the same instance. Lets other work run in between. Throws `conflict` for a later version's file.
 */
export async function scanSegment(n: number, file: Buffer): Promise<SegmentScan> {
  const scan: SegmentScan = { head: null, blocks: [], origins: [], end: 0, damaged: 0 };
  const origins = new Map<number, Origin>();
  let at = 0;
  for (let count = 1; at < file.length; count++) {
    if (count % 4096 === 0) await setImmediate();
    const frame = readFrame(file, at);
    if (!frame) {
      const next = findFrame(file, at + 1);
      if (next < 0) break;
      scan.damaged += next - at;
      at = next;
      continue;
    }
    at = scan.end = frame.end;
    const header = frame.header as BlockHeader | { head: Head };
    if ('head' in header) {
      checkVersion(header.head, n);
      scan.head = header.head;
      continue;
    }
    if (header.m) {
      origins.set(header.i, header.m);
      scan.origins.push({ origin: header.m, index: header.i, at: frame.start });
    }
    scan.blocks.push(toBlock(header, origins.get(header.i) ?? unknownOrigin, n, frame.payloadAt, frame.end));
  }
  if (scan.damaged > 0) addDamageGaps(scan);
  return scan;
}

function toBlock(header: BlockHeader, origin: Origin, n: number, payloadAt: number, end: number): StoredBlock {
  return {
    segment: n,
    payloadAt,
    bytes: end - payloadAt,
    ord: header.o,
    ts: header.t,
    origin,
    stream: header.s === 0 ? 'stdout' : 'stderr',
    from: header.f,
    seq: header.q,
    lines: header.n,
    long: header.l === 1,
    partial: header.p === 1,
    gap: header.g ?? null,
  };
}

function checkVersion(head: Head, n: number): void {
  if (head.version <= segmentVersion) return;
  throw laterVersion(`log segment ${n}`, head.version, segmentVersion);
}

/** Lines are numbered without holes except where a gap says so: what is missing in the numbers was damaged. */
function addDamageGaps(scan: SegmentScan): void {
  const next = new Map<string, number>(scan.head?.positions.map(([id, seq]) => [id, seq]));
  const seen = new Map<string, number>();
  for (const block of scan.blocks) {
    // The head knows every instance that came before; others begin at 1.
    const expected = next.get(block.origin.id) ?? (scan.head ? 1 : undefined);
    const missing = expected === undefined ? 0 : block.seq - (block.gap?.lines ?? 0) - expected;
    if (missing > 0) {
      const since = block.gap?.since ?? seen.get(block.origin.id) ?? block.ts;
      block.gap = { lines: missing + (block.gap?.lines ?? 0), bytes: block.gap?.bytes ?? 0, since };
    }
    next.set(block.origin.id, block.seq + block.lines);
    seen.set(block.origin.id, block.ts);
  }
}

/** Labels by which a query may pass a segment over. */
export function tagsOf(origin: Origin): string[] {
  return [
    `i:${origin.id}`,
    `i:${origin.name}`,
    `p:${origin.process}`,
    `r:${String(origin.release)}`,
    `s:${origin.source}`,
  ];
}
