/** From raw output to lines: counting when it is stored, splitting when it is read. Both must agree. */
import type { LogLine } from '../../shared/contracts/api.ts';
import type { LogEntry } from './port.ts';

/** Longer lines are handed out in pieces of so many bytes, each marked `partial` but the last. */
export const maxLineBytes = 64 << 10;

const newline = 10;

export interface LineCount {
  /** Lines, where every piece of a long line counts as one. */
  lines: number;
  /** Some line is longer than `maxLineBytes`. */
  long: boolean;
}

/** Counts what `splitLines` will make of the same bytes. */
export function countLines(payload: Buffer): LineCount {
  let lines = 0;
  let long = false;
  let start = 0;
  while (start < payload.length) {
    const found = payload.indexOf(newline, start);
    const end = found < 0 ? payload.length : found;
    if (end - start > maxLineBytes) {
      long = true;
      lines += Math.ceil((end - start) / maxLineBytes);
    } else lines += 1;
    start = end + 1;
  }
  return { lines, long };
}

/**
 * The lines without their ends (`\n` or `\r\n`), as text; bytes that are not UTF-8 become U+FFFD. `long` as counted.
 * `more` lists the indexes of pieces that go on in the next one, within these bytes.
 */
export function splitLines(payload: Buffer, long: boolean): { lines: string[]; more: Set<number> } {
  const more = new Set<number>();
  if (!long) {
    // Decoding never swallows a line feed, so the text has as many as the bytes.
    const lines = payload.toString('utf8').split('\n');
    if (payload.length === 0 || payload.at(-1) === newline) lines.pop();
    for (let i = 0; i < lines.length; i++) if (lines[i]!.endsWith('\r')) lines[i] = lines[i]!.slice(0, -1);
    return { lines, more };
  }
  const lines: string[] = [];
  let start = 0;
  while (start < payload.length) {
    const found = payload.indexOf(newline, start);
    const end = found < 0 ? payload.length : found;
    for (let at = start; ; at += maxLineBytes) {
      const last = end - at <= maxLineBytes;
      if (!last) more.add(lines.length);
      const piece = payload.toString('utf8', at, last ? end : at + maxLineBytes);
      lines.push(last && piece.endsWith('\r') ? piece.slice(0, -1) : piece);
      if (last) break;
    }
    start = end + 1;
  }
  return { lines, more };
}

/** What all blocks of one instance share. */
export interface Origin {
  id: string;
  name: string;
  process: string;
  release: number | null;
  source: LogLine['source'];
}

export interface Gap {
  /** Lines that are missing; at least so many where nobody counted them. */
  lines: number;
  bytes: number;
  /** Time of what came before, in milliseconds. */
  since: number;
}

/** A stored block as readers see it, without its bytes. */
export interface Block {
  /** Place in the app's order of arrival; grows, with holes. */
  ord: number;
  ts: number;
  origin: Origin;
  stream: LogLine['stream'];
  /** Number of its first line. */
  seq: number;
  lines: number;
  long: boolean;
  /** Its last line goes on in the next block of the stream. */
  partial: boolean;
  /** What is missing before it. */
  gap: Gap | null;
}

/** The gap before a block as an entry. */
export function gapEntry(block: Block, gap: Gap): LogEntry {
  const { lines: count, bytes } = gap;
  const from = new Date(gap.since).toISOString();
  const to = new Date(block.ts).toISOString();
  return { gap: { instance: block.origin.name, from, to, count, ...(bytes > 0 ? { bytes } : {}) } };
}

/** A block's entries: its gap first, then its lines. `keep`: which lines are wanted (all when absent). */
export function blockEntries(block: Block, split: ReturnType<typeof splitLines>, keep?: boolean[]): LogEntry[] {
  const entries: LogEntry[] = [];
  if (block.gap) entries.push(gapEntry(block, block.gap));
  const { origin, stream } = block;
  const ts = new Date(block.ts).toISOString();
  const last = split.lines.length - 1;
  for (let i = 0; i <= last; i++) {
    if (keep && !keep[i]) continue;
    const entry: LogEntry = {
      ts,
      process: origin.process,
      instance: origin.name,
      release: origin.release,
      source: origin.source,
      stream,
      seq: block.seq + i,
      line: split.lines[i]!,
    };
    if (split.more.has(i) || (block.partial && i === last)) entry.partial = true;
    entries.push(entry);
  }
  return entries;
}
