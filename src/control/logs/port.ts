/**
 * The LogStore port: the output of every instance and build, kept after they are gone.
 *
 *   append ──► accepted (offsets and seq assigned, live readers see it)
 *                 │ written
 *                 ▼
 *              written ──► durable (the promise resolves: now the agent may be told)
 *                 │ fails (disk full, …)
 *                 ▼
 *              undone: the promise rejects; the same bytes are accepted again later, with the same numbers
 *
 * Order: `query` merges by time (the time of a block, then the order of arrival); `follow` goes on in order of arrival.
 * What is lost is counted and shown as a gap, never silent.
 */
import type { LogBlock, LogPosition } from '../../shared/contracts/agent.ts';
import type { LogGap, LogLine } from '../../shared/contracts/api.ts';

/** A line without the app's name, which the store does not know; or a gap. */
export type LogEntry = Omit<LogLine, 'app'> | LogGap;

export interface LogFilter {
  appId: string;
  processType?: string;
  /** Name (`web.1`) or id. */
  instance?: string;
  release?: number;
  /** Absent: all that the store has; the control plane's keeps access lines of routers apart (split.ts). */
  source?: LogLine['source'];
}

export interface LogQuery extends LogFilter {
  /** Milliseconds since 1970, both inclusive, compared with the time of the block that a line came in. */
  since?: number;
  until?: number;
  /** A regular expression (JavaScript syntax, a leading `(?i)` ignores case). It cannot hang the server: see grep.ts. */
  grep?: string;
  /** What a line has to match too: the platform's own expressions, of which none can take long. */
  fields?: readonly RegExp[];
  /** Only the last so many lines. */
  tail?: number;
}

/** A run of entries. */
export interface LogBatch {
  entries: LogEntry[];
  /** Everything before it is durable and was handed out; null where there is no new one yet. */
  cursor: string | null;
  /** With a cursor: so many of the last entries handed out lie after it, and come again from there. */
  after: number;
}

export interface FollowQuery extends Omit<LogQuery, 'until'> {
  /** Where an earlier `follow` ended: everything that lies after it, and nothing before. Replaces `tail` and `since`. */
  cursor?: string;
}

export interface PlatformLine {
  /** What the line is about, as it is shown: `web.1`, or `platform`. */
  instance: string;
  processType?: string;
  release?: number | null;
  text: string;
}

export interface LogUsage {
  bytes: number;
  /** ISO time of the oldest line that is still there, or null. */
  oldest: string | null;
  /** Lines that retention has dropped. */
  droppedLines: number;
}

export interface LogStore {
  /**
   * Takes a block up and resolves when it is durable, with the position to acknowledge. What is stored already is cut
   * off; a hole is recorded as a gap. Calls take effect in the order in which they are made.
   * Rejects with `bad_request` (header and payload disagree), `disk_full` or `unavailable` (the disk does not keep up):
   * nothing of it may be acknowledged, and the sender has to begin again at `positions`. A sender that goes on instead
   * is refused until it does, so that no false gap is recorded: close its link.
   */
  append(block: LogBlock, payload: Buffer): Promise<LogPosition>;
  /** A line of the platform's own in an app's log; resolves when it is durable. */
  appendPlatformLine(appId: string, line: PlatformLine): Promise<void>;
  /** What is stored durably: of the instances (ids) named, or of all. */
  positions(instances?: readonly string[]): LogPosition[];
  /** Makes everything that was appended before durable. */
  flush(): Promise<void>;
  /** Entries in order of time, in batches. Ends at what had been appended when it was called. */
  query(query: LogQuery): AsyncIterable<LogEntry[]>;
  /**
   * What there is, then what arrives, without loss or doubling, until the signal aborts. A reader that is slow is
   * served from disk; only what retention drops meanwhile becomes a gap. It slows nothing but itself.
   */
  follow(query: FollowQuery, signal: AbortSignal): AsyncIterable<LogBatch>;
  /**
   * Calls the listener, which must not throw, with what arrives from now on, at once (before it is durable). Returns how
   * to stop.
   */
  subscribe(filter: LogFilter, listener: (entries: LogEntry[]) => void): () => void;
  /** Size and age of an app's log, or of all. */
  usage(appId?: string): LogUsage;
  /**
   * Drops what is too old or too much, and forgets the positions of instances that `isLive` denies and of which nothing
   * is stored any more. To be called every few minutes.
   */
  sweep(isLive: (instance: string) => boolean): Promise<void>;
  /** Deletes an app's whole log. */
  remove(appId: string): Promise<void>;
  /** Makes all durable and lets go of files; follows end. */
  close(): Promise<void>;
}
