/** Answering queries: from blocks to entries, filtered by text, cut to the last N. */
import { setImmediate } from 'node:timers/promises';
import type { Matcher } from './grep.ts';
import { blockEntries, gapEntry, splitLines } from './lines.ts';
import type { LogEntry, LogQuery } from './port.ts';
import {
  byTime,
  payloadOf,
  readBlocks,
  readSegment,
  wantedSegments,
  type BlockItem,
  type ReadItem,
  type Snapshot,
} from './read.ts';
import type { StoredBlock, Summary } from './segment.ts';

const batchSize = 2000;

/**
 * The entries of a snapshot in order of time, in batches that are never empty.
 * @param matcher decides over the lines (`matcherOf` the query); whoever made it closes it
 */
export async function* runQuery(
  snapshot: Snapshot,
  query: LogQuery,
  matcher: Matcher | null,
): AsyncGenerator<LogEntry[]> {
  const start = query.tail === undefined ? null : await findTail(snapshot, query, query.tail, matcher);
  const since = start ? Math.max(start.ts, query.since ?? start.ts) : query.since;
  let batch: LogEntry[] = [];
  for await (const item of readBlocks(snapshot, since === undefined ? query : { ...query, since })) {
    if (start && 'block' in item && byTime(item.block, start) < 0) continue;
    const pending = itemEntries(snapshot, item, matcher);
    let entries = pending instanceof Promise ? await pending : pending;
    if (start && 'block' in item && item.block.ord === start.ord && start.skip > 0) {
      entries = entries.filter((entry) => !('gap' in entry)).slice(start.skip);
    }
    if (batch.length === 0) batch = entries;
    else for (const entry of entries) batch.push(entry);
    if (batch.length < batchSize) continue;
    yield batch;
    batch = [];
    await setImmediate(); // Requests and agents get their turn, also when the reader is fast.
  }
  if (batch.length > 0) yield batch;
}

/** Answers at once where nothing has to be waited for: a promise for each block would be half of a query's time. */
function itemEntries(snapshot: Snapshot, item: ReadItem, matcher: Matcher | null): LogEntry[] | Promise<LogEntry[]> {
  if ('dropped' in item) return [droppedEntry(item.dropped)];
  const { block } = item;
  const payload = payloadOf(snapshot.directory, item);
  if (!matcher && payload instanceof Buffer) return blockEntries(block, splitLines(payload, block.long));
  return searchedEntries(block, payload, matcher);
}

async function searchedEntries(
  block: StoredBlock,
  pending: Buffer | Promise<Buffer | null>,
  matcher: Matcher | null,
): Promise<LogEntry[]> {
  const payload = await pending;
  if (!payload) return [gapEntry(block, { lines: block.lines, bytes: block.bytes, since: block.ts })];
  const split = splitLines(payload, block.long);
  return blockEntries(block, split, await matcher?.match(split.lines));
}

/** Retention took a segment while it was about to be read. */
function droppedEntry({ lines, ts }: Summary): LogEntry {
  const [from, to] = ts!;
  return {
    gap: { instance: '*', from: new Date(from).toISOString(), to: new Date(to).toISOString(), count: lines },
  };
}

interface TailStart {
  ts: number;
  ord: number;
  /** Lines of that first block that are not among the last N any more. */
  skip: number;
}

/**
 * Where the last `n` lines begin, by looking at segments from the latest backwards; null when there are fewer. Without
 * a text to search for no line is read: blocks know how many they hold.
 */
async function findTail(
  snapshot: Snapshot,
  query: LogQuery,
  n: number,
  matcher: Matcher | null,
): Promise<TailStart | null> {
  if (n <= 0) return { ts: Number.MAX_SAFE_INTEGER, ord: Number.MAX_SAFE_INTEGER, skip: 0 };
  const segments = wantedSegments(snapshot, query).sort((a, b) => b.ts![1] - a.ts![1] || b.n - a.n);
  let latest: { ts: number; ord: number; lines: number }[] = [];
  let start: TailStart | null = null;
  for (const summary of segments) {
    if (start && summary.ts![1] < start.ts) break;
    const segment = await readSegment(snapshot, query, summary);
    if (!segment) continue;
    let lines = 0;
    for (const block of segment.blocks.reverse()) {
      const count = await countMatches(snapshot, { block, file: segment.file }, matcher);
      latest.push({ ts: block.ts, ord: block.ord, lines: count });
      lines += count;
      if (lines >= n) break;
    }
    latest.sort((a, b) => byTime(b, a));
    start = cut(latest, n);
    if (start) latest = latest.filter((block) => byTime(block, start!) >= 0);
  }
  return start;
}

async function countMatches(snapshot: Snapshot, item: BlockItem, matcher: Matcher | null): Promise<number> {
  if (!matcher) return item.block.lines;
  const payload = await payloadOf(snapshot.directory, item);
  if (!payload) return 0;
  const hits = await matcher.match(splitLines(payload, item.block.long).lines);
  return hits.filter(Boolean).length;
}

/** The block at which the newest `n` lines begin. */
function cut(latest: readonly { ts: number; ord: number; lines: number }[], n: number): TailStart | null {
  let lines = 0;
  for (const { ts, ord, lines: count } of latest) {
    lines += count;
    if (lines >= n) return { ts, ord, skip: lines - n };
  }
  return null;
}
