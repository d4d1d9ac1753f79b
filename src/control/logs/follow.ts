/**
 * Following a log: what is stored, then what arrives. Blocks that arrive wait in memory up to a bound; when the reader
 * falls behind further they are let go of and read from disk, where they are as well.
 *
 *   backlog (from disk, up to P) ──► live (from memory, from P on) ──► overflow ──► backlog again
 */
import { EventEmitter, once } from 'node:events';
import type { AppLog, Live } from './app-log.ts';
import { PaasError } from '../../shared/errors.ts';
import { wantsBlock } from './filter.ts';
import { matcherOf, type Matcher } from './grep.ts';
import { blockEntries, countLines, splitLines } from './lines.ts';
import type { FollowQuery, LogBatch, LogEntry, LogFilter, LogQuery } from './port.ts';
import { runQuery } from './query.ts';
import type { Snapshot } from './read.ts';

export interface FollowOptions {
  /** Bytes of output that may wait in memory for one reader. */
  maxWaitingBytes: number;
}

/** Everything on disk of [minOrd, now), after writing what is queued. */
export async function takeSnapshot(log: AppLog, minOrd: number, maxOrd = log.nextOrd): Promise<Snapshot> {
  await log.drain();
  return { directory: log.directory, segments: log.segments(), minOrd, maxOrd };
}

/** What a live block shows: nothing again that was shown before it had to be sent anew. */
export function liveEntries(live: Live, matches?: boolean[]): LogEntry[] {
  const { block, payload, seen } = live;
  if (seen >= payload.length && seen > 0) return [];
  if (seen === 0) return blockEntries(block, splitLines(payload, block.long), matches);
  const rest = payload.subarray(seen);
  const seq = block.seq + countLines(payload.subarray(0, seen)).lines;
  return blockEntries({ ...block, seq, gap: null }, splitLines(rest, block.long), matches);
}

/** See LogStore.follow. Ends when the signal aborts. */
export async function* follow(
  log: AppLog,
  query: FollowQuery,
  signal: AbortSignal,
  options: FollowOptions,
): AsyncGenerator<LogBatch> {
  const matcher = matcherOf(query);
  const inbox = new Inbox(log, query, options.maxWaitingBytes);
  const cursor = new CursorState(log);
  const ended = AbortSignal.any([signal, log.closed]);
  const isEnded = (): boolean => ended.aborted;
  const { cursor: resume, ...first } = query;
  // What was asked for at the begin holds for the first look at the disk; later ones fill in what was missed.
  let history: LogQuery = first;
  let minOrd = 0;
  let isFirst = true;
  try {
    if (resume !== undefined) {
      minOrd = cursor.resume(resume);
      history = withoutBounds(first);
      isFirst = false;
    }
    while (!isEnded()) {
      if (inbox.behind) {
        const maxOrd = inbox.restart();
        const snapshot = await takeSnapshot(log, minOrd, maxOrd);
        const lost = isFirst ? null : cursor.lost(snapshot);
        if (lost) yield { entries: [lost], cursor: null, after: 0 };
        for await (const entries of runQuery(snapshot, history, matcher)) {
          yield { entries, cursor: null, after: 0 };
          if (isEnded()) return;
        }
        minOrd = maxOrd;
        cursor.readTo(maxOrd);
        isFirst = false;
        history = withoutBounds(first);
      }
      const entries = await readInbox(inbox, matcher, cursor);
      minOrd = cursor.reached = Math.max(minOrd, inbox.takenOrd);
      const safe = cursor.take();
      if (entries.length > 0 || safe !== null) yield { entries, cursor: safe, after: safe === null ? 0 : cursor.after };
      else await inbox.wait(ended);
    }
  } finally {
    inbox.close();
    await matcher?.close();
  }
}

function withoutBounds(query: LogQuery): LogQuery {
  const unbounded = { ...query };
  delete unbounded.tail;
  delete unbounded.since;
  return unbounded;
}

async function readInbox(inbox: Inbox, matcher: Matcher | null, cursor: CursorState): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  for (const live of inbox.take()) {
    const lines = matcher ? splitLines(live.payload.subarray(live.seen), live.block.long).lines : null;
    const found = liveEntries(live, lines ? await matcher!.match(lines) : undefined);
    for (const entry of found) entries.push(entry);
    cursor.shown(live.block.ord, found.length);
  }
  return entries;
}

/** Blocks on their way to one reader. */
class Inbox {
  /** The reader has to go to the disk first: at the begin, and after too much waited here. */
  behind = true;
  /** Everything before this place was taken out. */
  takenOrd = 0;
  readonly #log: AppLog;
  readonly #filter: LogFilter;
  readonly #limit: number;
  readonly #wake = new EventEmitter();
  #waiting: Live[] = [];
  #bytes = 0;
  #arrivedOrd = 0;
  readonly #arrived = (live: Live): void => this.#add(live);
  readonly #durable = (): void => void this.#wake.emit('wake');

  constructor(log: AppLog, filter: LogFilter, limit: number) {
    this.#log = log;
    this.#filter = filter;
    this.#limit = limit;
    log.listeners.add(this.#arrived);
    log.durableListeners.add(this.#durable);
  }

  close(): void {
    this.#log.listeners.delete(this.#arrived);
    this.#log.durableListeners.delete(this.#durable);
  }

  /** Collects from now on; returns the place up to which the disk has to be read. */
  restart(): number {
    this.behind = false;
    this.#waiting = [];
    this.#bytes = 0;
    this.#arrivedOrd = this.takenOrd = this.#log.nextOrd;
    return this.takenOrd;
  }

  take(): Live[] {
    const taken = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    if (!this.behind) this.takenOrd = this.#arrivedOrd;
    return taken;
  }

  /** Until something arrives or becomes durable, or the signal aborts. */
  async wait(signal: AbortSignal): Promise<void> {
    if (this.#waiting.length > 0 || this.behind) return;
    await once(this.#wake, 'wake', { signal }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }

  #add(live: Live): void {
    if (this.behind) return;
    this.#arrivedOrd = live.block.ord + 1;
    if (!wantsBlock(this.#filter, live.block)) return;
    this.#waiting.push(live);
    this.#bytes += live.payload.length + 200;
    if (this.#bytes > this.#limit) {
      this.behind = true;
      this.#waiting = [];
      this.#bytes = 0;
    }
    this.#wake.emit('wake');
  }
}

/** Which cursors may be handed out: of what the reader got and the disk has. */
class CursorState {
  /** The reader has everything before this place. */
  reached = 0;
  /** Lines that retention had dropped when the reader was last told. */
  dropped: number;
  readonly #log: AppLog;
  #given = -1;
  /** The reader got what is before this place in order of time: no cursor within it. */
  #sortedTo = 0;
  /** What the reader got and no cursor covers yet, in order of arrival. */
  #uncovered: { ord: number; entries: number }[] = [];

  constructor(log: AppLog) {
    this.#log = log;
    this.dropped = log.droppedLines;
  }

  /** The reader got everything before this place from disk. */
  readTo(ord: number): void {
    this.reached = this.#sortedTo = ord;
    this.#uncovered = [];
  }

  /** The reader gets so many entries of the block at this place. */
  shown(ord: number, entries: number): void {
    if (entries > 0) this.#uncovered.push({ ord, entries });
  }

  /** How many entries that the reader got lie after the newest cursor. */
  get after(): number {
    return this.#uncovered.reduce((sum, { entries }) => sum + entries, 0);
  }

  /** Goes on where an earlier reader ended; returns that place. */
  resume(text: string): number {
    const found = /^(\d{1,15})-(\d{1,15})$/.exec(text);
    if (!found) throw new PaasError('bad_request', `"${text}" is not a cursor of this log`);
    this.dropped = Math.min(Number(found[2]), this.dropped);
    return Math.min(Number(found[1]), this.#log.nextOrd);
  }

  /** A cursor to hand out, when there is a new one. */
  take(): string | null {
    const safe = Math.min(this.reached, this.#log.durableOrd);
    if (safe <= this.#given || safe < this.#sortedTo) return null;
    this.#given = safe;
    this.#uncovered = this.#uncovered.filter(({ ord }) => ord >= safe);
    return `${safe}-${this.#log.droppedLines}`;
  }

  /** What retention dropped before the reader came to it; the count may include lines that it had read. */
  lost({ segments, minOrd }: Snapshot): LogEntry | null {
    const first = segments[0];
    const count = this.#log.droppedLines - this.dropped;
    this.dropped = this.#log.droppedLines;
    if (!first || first.ord <= minOrd || count <= 0) return null;
    const at = new Date(first.ts?.[0] ?? first.writtenAt).toISOString();
    return { gap: { instance: '*', from: at, to: at, count } };
  }
}
