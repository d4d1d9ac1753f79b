/** One app's log: accepts blocks in memory, writes and syncs them in groups, takes them back when that fails. */
import { mkdir, rm, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { LogBlock, LogPosition } from '../../shared/contracts/agent.ts';
import { errnoOf, PaasError } from '../../shared/errors.ts';
import { ActiveSegment, type Writable } from './active.ts';
import { segmentPath, storeError, syncDirectory, type HandleCache } from './files.ts';
import { countLines } from './lines.ts';
import type { Accepted, Positions } from './positions.ts';
import type { AppState } from './recover.ts';
import { segmentVersion, type Summary } from './segment.ts';

interface Entry extends Writable {
  accepted: Accepted;
  settle: (error?: PaasError) => void;
}

/** A block as it arrives; `seen`: so many bytes at its begin were shown before (it had to be sent again). */
export type Live = Writable & { seen: number };

export interface AppLogOptions {
  directory: string;
  handles: HandleCache;
  clock: () => number;
  segmentBytes: number;
  /** A segment that is older is closed, so that age retention can drop it. */
  segmentAgeMs: number;
  maxQueuedBytes: number;
}

/** The most that goes into one write. */
const maxWriteBytes = 4 << 20;

export class AppLog {
  readonly positions: Positions;
  readonly sealed: Summary[];
  /** Called with each block as soon as it is accepted. */
  readonly listeners = new Set<(live: Live) => void>();
  /** Called when more has become durable. */
  readonly durableListeners = new Set<() => void>();
  droppedLines: number;
  /** Bytes of output that are not durable yet. */
  queuedBytes = 0;
  /** The next place in the order of arrival; everything before `durableOrd` is durable. */
  nextOrd: number;
  durableOrd: number;
  #active: ActiveSegment | null;
  #nextSegment: number;
  #queue: Entry[] = [];
  #unsynced: Entry[] = [];
  #last: Promise<unknown> = Promise.resolve();
  #closed = new AbortController();
  readonly #options: AppLogOptions;

  constructor(state: AppState, options: AppLogOptions) {
    this.positions = state.positions;
    this.sealed = state.sealed;
    this.droppedLines = state.droppedLines;
    this.nextOrd = this.durableOrd = state.nextOrd;
    this.#active = state.active;
    this.#nextSegment = state.nextSegment;
    this.#options = options;
  }

  /** Aborts when the log is removed or the store closed: readers that follow it end. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  get directory(): string {
    return this.#options.directory;
  }

  /** Whether a commit has anything to do. */
  get isDirty(): boolean {
    return this.#queue.length > 0 || this.#unsynced.length > 0;
  }

  /** All segments, oldest first, as they are on disk. */
  segments(): Summary[] {
    return this.#active ? [...this.sealed, this.#active.summary.take()] : [...this.sealed];
  }

  bytes(): number {
    return this.sealed.reduce((sum, { bytes }) => sum + bytes, this.#active?.size ?? 0);
  }

  /** See LogStore.append. Takes effect before it returns. */
  append(block: LogBlock, ts: number, payload: Buffer): Promise<LogPosition> {
    const position = { instance: block.instance, stream: block.stream, offset: block.to };
    if (this.queuedBytes + payload.length > this.#options.maxQueuedBytes) {
      this.positions.refuse(block.instance, block.stream, block.to);
      throw new PaasError('unavailable', 'the disk of the platform does not keep up with the logs', {
        hint: 'Send it again later.',
      });
    }
    const accepted = this.positions.accept(block, ts);
    if (!accepted) return this.#repeated(position);
    const rest = accepted.skip > 0 ? payload.subarray(accepted.skip) : payload;
    const { lines, long } = countLines(rest);
    const { instance: id, name, processType: process, release, source, stream, partial } = block;
    const origin = { id, name, process, release, source };
    const { seq, gap } = accepted;
    const from = block.from + accepted.skip;
    const stored = { ord: this.nextOrd++, ts, origin, stream, from, seq, lines, long, partial, gap };
    this.positions.take(accepted, lines, ts);
    this.queuedBytes += rest.length;
    const done = new Promise<LogPosition>((resolve, reject) => {
      const settle = (error?: PaasError): void => (error ? reject(error) : resolve(position));
      this.#queue.push({ block: stored, payload: rest, accepted, settle });
    });
    const live = { block: stored, payload: rest, seen: accepted.seen };
    for (const listener of this.listeners) listener(live);
    return done;
  }

  /** A block that was stored before: it is acknowledged again, when it is durable. */
  async #repeated(position: LogPosition): Promise<LogPosition> {
    if (!this.positions.isDurable(position.instance, position.stream, position.offset)) await this.commit();
    if (this.positions.isDurable(position.instance, position.stream, position.offset)) return position;
    throw new PaasError('unavailable', `output of ${position.instance} could not be stored yet`);
  }

  /** Writes what is queued, so that readers of the files see it. Failures reach those who appended. */
  drain(): Promise<void> {
    return this.#inTurn(() => this.#write());
  }

  /** Writes and syncs what is queued. Failures reach those who appended. */
  commit(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#write();
      await this.#sync();
    });
  }

  /** Closes the segment if it holds anything, so that retention may take it. */
  seal(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#write();
      if (this.#active && this.#active.summary.lines > 0) await this.#roll();
    });
  }

  /** Drops the oldest complete segment. */
  async dropOldest(): Promise<void> {
    const [oldest] = this.sealed;
    if (!oldest) return;
    await unlink(segmentPath(this.directory, oldest.n)).catch((error: unknown) => {
      if (errnoOf(error) !== 'ENOENT') throw error;
    });
    this.sealed.shift();
    this.droppedLines += oldest.lines;
  }

  /** Nothing is stored, known or waited for: the log may be forgotten. */
  isEmpty(): boolean {
    const isIdle = !this.isDirty && this.listeners.size === 0;
    return isIdle && this.positions.size === 0 && this.segments().every(({ lines }) => lines === 0);
  }

  /** Forgets the positions of instances that are gone and of which nothing is stored. */
  async prune(isLive: (instance: string) => boolean): Promise<void> {
    await this.commit();
    const segments = this.segments();
    if (segments.some(({ tags }) => tags === null)) return; // Too many to list: later, when that segment is gone.
    const stored = new Set(segments.flatMap(({ tags }) => tags));
    if (this.isDirty) return;
    this.positions.prune((instance) => isLive(instance) || stored.has(`i:${instance}`));
  }

  /** Makes all durable and lets go of the file. */
  async close(): Promise<void> {
    await this.commit();
    this.#closed.abort();
    await this.#inTurn(async () => {
      await this.#active?.release();
    });
  }

  /**
   * Deletes everything that was stored; positions stay, so that what instances still send begins no gap. What was not
   * durable yet is deleted with the rest and acknowledged: nobody will ever ask for it.
   */
  remove(): Promise<void> {
    return this.#inTurn(() => this.#delete());
  }

  /** Deletes its files unless something arrived since it was looked at. */
  removeIfEmpty(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.isEmpty()) await this.#delete();
    });
  }

  async #delete(): Promise<void> {
    this.#closed.abort();
    this.#closed = new AbortController();
    for (const { accepted, block, payload, settle } of [...this.#unsynced.splice(0), ...this.#queue.splice(0)]) {
      this.positions.commit(accepted, block.lines);
      this.queuedBytes -= payload.length;
      settle();
    }
    await this.#active?.release();
    this.#active = null;
    this.sealed.length = 0;
    await rm(this.directory, { recursive: true, force: true });
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const next = this.#last.then(async () => {
      try {
        await work();
      } catch (error) {
        await this.#undo(error);
      }
    });
    this.#last = next;
    return next;
  }

  async #write(): Promise<void> {
    while (this.#queue.length > 0) {
      if (!this.#active || this.#isFull(this.#active)) await this.#roll();
      const active = this.#active!;
      let bytes = 0;
      let count = 0;
      while (count < this.#queue.length && bytes < maxWriteBytes) bytes += this.#queue[count++]!.payload.length + 64;
      const entries = this.#queue.slice(0, count);
      await active.write(entries, this.#options.clock());
      this.#queue.splice(0, count);
      this.#unsynced.push(...entries);
    }
  }

  #isFull(active: ActiveSegment): boolean {
    if (active.size >= this.#options.segmentBytes) return true;
    return active.summary.lines > 0 && this.#options.clock() - active.createdAt > this.#options.segmentAgeMs;
  }

  async #sync(): Promise<void> {
    if (this.#unsynced.length === 0) return;
    await this.#active!.sync();
    const done = this.#unsynced;
    this.#unsynced = [];
    for (const { accepted, block, payload, settle } of done) {
      this.positions.commit(accepted, block.lines);
      this.queuedBytes -= payload.length;
      settle();
    }
    this.durableOrd = done.at(-1)!.block.ord + 1;
    for (const listener of this.durableListeners) listener();
  }

  async #roll(): Promise<void> {
    await this.#sync();
    const before = this.#active;
    if (!before) {
      await mkdir(this.directory, { recursive: true, mode: 0o700 });
      await syncDirectory(dirname(this.directory));
    }
    const head = {
      version: segmentVersion,
      n: this.#nextSegment,
      ord: this.durableOrd,
      createdAt: this.#options.clock(),
      droppedLines: this.droppedLines,
      positions: this.positions.rows(),
      segments: this.segments(),
    };
    this.#active = await ActiveSegment.create(this.directory, this.#options.handles, head);
    this.#nextSegment += 1;
    if (!before) return;
    this.sealed.push(before.summary.take());
    await before.release();
  }

  /** Everything that is not durable was never there; whoever appended it is told. */
  async #undo(cause: unknown): Promise<void> {
    const lines = this.#unsynced.reduce((sum, { block }) => sum + block.lines, 0);
    this.#fail(storeError(cause));
    await this.#active?.undo(lines);
  }

  #fail(error: PaasError): void {
    const undone = [...this.#unsynced, ...this.#queue].reverse();
    this.#unsynced = [];
    this.#queue = [];
    for (const { accepted, payload } of undone) {
      this.positions.undo(accepted);
      this.queuedBytes -= payload.length;
    }
    for (const { settle } of undone.reverse()) settle(error);
  }
}
