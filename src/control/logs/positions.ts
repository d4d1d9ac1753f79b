/**
 * How far each instance's output is stored, and which number its next line gets. Pure: no files.
 */
import { PaasError } from '../../shared/errors.ts';
import type { LogBlock, LogPosition } from '../../shared/contracts/agent.ts';
import type { LogLine } from '../../shared/contracts/api.ts';
import type { Gap } from './lines.ts';

type Stream = LogLine['stream'];

interface StreamState {
  /** Bytes taken up; up to here what comes again is a repetition. */
  offset: number;
  /** Bytes that are durable. */
  durable: number;
  /** Time of the last block, in milliseconds. */
  ts: number;
  /** Bytes that live readers have seen: more than `offset` after blocks had to be undone. */
  published: number;
  /** Highest byte refused since blocks were undone, so that a hole up to there is no loss; 0 when there is none. */
  refused: number;
}

interface InstanceState {
  /** The next line's number. */
  seq: number;
  /** The same, counting durable lines only. */
  durableSeq: number;
  streams: Record<Stream, StreamState>;
}

/** One instance in a checkpoint: id, next seq, then offset and time of stdout and of stderr. */
export type PositionRow = [string, number, number, number, number, number];

/** What a block changed, to undo it. */
export interface Accepted {
  instance: string;
  stream: Stream;
  /** Bytes at the payload's begin that are stored already. */
  skip: number;
  to: number;
  /** Bytes of what is left that live readers have seen before (0 unless blocks were undone). */
  seen: number;
  gap: Gap | null;
  /** Number of the first line. */
  seq: number;
  before: { offset: number; ts: number; seq: number };
}

export class Positions {
  readonly #instances = new Map<string, InstanceState>();

  static from(rows: readonly PositionRow[]): Positions {
    const positions = new Positions();
    for (const [id, seq, outOffset, outTs, errOffset, errTs] of rows) {
      positions.#instances.set(id, {
        seq,
        durableSeq: seq,
        streams: { stdout: streamState(outOffset, outTs), stderr: streamState(errOffset, errTs) },
      });
    }
    return positions;
  }

  /** For a checkpoint; take it when everything is durable. */
  rows(): PositionRow[] {
    return [...this.#instances].map(
      ([
        id,
        {
          seq,
          streams: { stdout, stderr },
        },
      ]) => {
        return [id, seq, stdout.durable, stdout.ts, stderr.durable, stderr.ts];
      },
    );
  }

  get size(): number {
    return this.#instances.size;
  }

  has(instance: string): boolean {
    return this.#instances.has(instance);
  }

  /** Where the next byte of a stream goes. */
  offset(instance: string, stream: Stream): number {
    return this.#instances.get(instance)?.streams[stream].offset ?? 0;
  }

  /** Durable positions of one instance (empty when it is not known) or of all. */
  *durable(only?: string): Generator<LogPosition> {
    for (const [instance, state] of only === undefined ? this.#instances : this.#one(only)) {
      for (const stream of ['stdout', 'stderr'] as const) {
        const offset = state.streams[stream].durable;
        if (offset > 0) yield { instance, stream, offset };
      }
    }
  }

  #one(instance: string): [string, InstanceState][] {
    const state = this.#instances.get(instance);
    return state ? [[instance, state]] : [];
  }

  isDurable(instance: string, stream: Stream, to: number): boolean {
    return (this.#instances.get(instance)?.streams[stream].durable ?? 0) >= to;
  }

  /** Where a live block would go; null when all of it is stored. Changes nothing until `take`. */
  accept(block: LogBlock, ts: number): Accepted | null {
    const state = this.#instances.get(block.instance) ?? newInstance();
    const stream = state.streams[block.stream];
    if (block.to <= stream.offset) return null;
    const hole = block.from - stream.offset;
    if (hole > block.dropped.bytes && block.from <= stream.refused) {
      stream.refused = Math.max(stream.refused, block.to);
      throw new PaasError('unavailable', `output before byte ${block.from} of ${block.instance} is not stored yet`, {
        hint: `Send it again from byte ${stream.offset}.`,
      });
    }
    const gap = hole > 0 ? holeGap(block, hole, stream.ts === 0 ? ts : stream.ts) : null;
    const start = Math.max(block.from, stream.offset);
    return {
      instance: block.instance,
      stream: block.stream,
      skip: start - block.from,
      to: block.to,
      seen: Math.max(0, Math.min(stream.published, block.to) - start),
      gap,
      seq: state.seq + (gap?.lines ?? 0),
      before: { offset: stream.offset, ts: stream.ts, seq: state.seq },
    };
  }

  /** Makes an accepted block count. `lines`: how many it has. */
  take(accepted: Accepted, lines: number, ts: number): void {
    const state = this.#of(accepted.instance);
    const stream = state.streams[accepted.stream];
    state.seq = accepted.seq + lines;
    stream.offset = accepted.to;
    stream.published = Math.max(stream.published, accepted.to);
    stream.ts = ts;
    stream.refused = 0;
  }

  /** Takes an accepted block back. To be called for the newest first. */
  undo(accepted: Accepted): void {
    const state = this.#instances.get(accepted.instance)!;
    const stream = state.streams[accepted.stream];
    stream.offset = accepted.before.offset;
    stream.ts = accepted.before.ts;
    state.seq = accepted.before.seq;
    stream.refused = Math.max(stream.refused, accepted.to);
  }

  /** Marks an accepted block of so many lines as durable. */
  commit(accepted: Accepted, lines: number): void {
    const state = this.#instances.get(accepted.instance)!;
    const stream = state.streams[accepted.stream];
    stream.durable = Math.max(stream.durable, accepted.to);
    state.durableSeq = Math.max(state.durableSeq, accepted.seq + lines);
  }

  /** Notes that bytes up to `to` were turned away, so that what follows them is no gap. */
  refuse(instance: string, stream: Stream, to: number): void {
    const { streams } = this.#of(instance);
    streams[stream].refused = Math.max(streams[stream].refused, to);
  }

  /** A block read back from a segment: what it says is how it was. */
  restore(instance: string, stream: Stream, to: number, nextSeq: number, ts: number): void {
    const state = this.#of(instance);
    state.seq = state.durableSeq = Math.max(state.seq, nextSeq);
    if (to >= state.streams[stream].offset) state.streams[stream] = streamState(to, ts);
  }

  #of(instance: string): InstanceState {
    let state = this.#instances.get(instance);
    if (!state) this.#instances.set(instance, (state = newInstance()));
    return state;
  }

  /** Forgets instances; says how many. */
  prune(isNeeded: (instance: string) => boolean): number {
    let forgotten = 0;
    for (const instance of this.#instances.keys()) {
      if (isNeeded(instance)) continue;
      this.#instances.delete(instance);
      forgotten += 1;
    }
    return forgotten;
  }
}

function streamState(offset: number, ts: number): StreamState {
  return { offset, durable: offset, ts, published: offset, refused: 0 };
}

function newInstance(): InstanceState {
  return { seq: 1, durableSeq: 1, streams: { stdout: streamState(0, 0), stderr: streamState(0, 0) } };
}

/** The sender says what it dropped; whatever else is missing was lost on the way and counts as a line at least. */
function holeGap(block: LogBlock, hole: number, since: number): Gap {
  const unexplained = hole > block.dropped.bytes ? 1 : 0;
  return { lines: Math.max(1, block.dropped.lines + unexplained), bytes: hole, since };
}
