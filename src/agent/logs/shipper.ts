/**
 * Log shipper: sends what instances and builds write, from their files, to the control plane.
 *
 *   file grows ──► dirty ──► blocks (at most a window of them unacknowledged) ──► acknowledged ──► space given back
 *                                        ▲  link broken: again from what the control plane has stored
 *
 * The files are the spool, so there is no second copy and an agent's death loses nothing. Without a link they grow up
 * to a limit; then the oldest output is dropped, counted, and the loss reported with the next block.
 */
import path from 'node:path';
import type { LogBlock, LogPosition } from '../../shared/contracts/agent.ts';
import { watchDirectory } from '../directory-watch.ts';
import { LogStream, type LogLabels, type LogSource, type StreamName } from './source.ts';

export interface LogShipperOptions {
  /** Hands a block over; false: it was not taken (no link, or the link is full) and is to be offered again. */
  send(header: LogBlock, payload: Buffer): boolean;
  /** All output of an ended source is stored by the control plane: its files may go. Called once for each `end`. */
  delivered(instance: string): void;
  /** Told of failures that cost disk space or time, never output. */
  failed(error: unknown): void;
  /** Unacknowledged bytes at most. Default 4 MiB. */
  windowBytes?: number;
  /** Bytes of one stream that may wait at most. Default 256 MiB. */
  spoolBytes?: number;
}

export interface LogShipper {
  /** Output may come from now on (again). */
  add(source: LogSource): void;
  /** No more output will come: the rest is sent, also without a newline at its end. */
  end(instance: string): void;
  /** A source that nobody watches may have more output. */
  grew(instance: string): void;
  /** Forgets a source; its files may be removed. */
  remove(instance: string): void;
  /** The link is up; what the control plane has stored, by stream. A stream that is not named is at 0. */
  resume(positions: readonly LogPosition[]): void;
  /** The link is down. */
  pause(): void;
  /** The control plane has stored so much. */
  acked(positions: readonly LogPosition[]): void;
  /** Stops reading; nothing is lost. */
  close(): void;
}

interface Entry {
  source: LogSource;
  streams: Map<StreamName, LogStream>;
  ended: boolean;
  reported: boolean;
  unwatch(): void;
}

/** Notices of growth are gathered for so long, ms: fewer and larger blocks, and far below what a reader notices. */
const gatherMs = 10;
/** A block that could not be handed over is offered again after so long, ms. */
const againMs = 100;
/** At most so many blocks in one turn of the event loop. */
const turnBlocks = 4;

export function createLogShipper(options: LogShipperOptions): LogShipper {
  const { windowBytes = 4 << 20, spoolBytes = 256 << 20 } = options;
  const failed = (error: unknown): void => options.failed(error);
  const entries = new Map<string, Entry>();
  let connected = false;
  let timer: NodeJS.Timeout | null = null;
  /** Where the next turn begins, so that a flood of one does not hold up the others. */
  let turn = 0;
  /** What the control plane has stored, by `instance stream`. */
  let known = new Map<string, number>();

  /** Sources whose files may have grown since they were last sent to their end. */
  const dirty = new Set<Entry>();

  const all = (): LogStream[] => [...entries.values()].flatMap((entry) => [...entry.streams.values()]);

  const schedule = (ms: number): void => {
    timer ??= setTimeout(() => {
      timer = null;
      pump();
    }, ms);
  };

  const touch = (entry: Entry | undefined, ms: number): void => {
    if (!entry) return;
    dirty.add(entry);
    schedule(ms);
  };

  function pump(): void {
    const looked = [...dirty];
    const waiting = looked.flatMap((entry) =>
      [...entry.streams.values()].filter((stream) => stream.look()).map((stream) => ({ entry, stream })),
    );
    const outcome = connected ? sendTurn(waiting) : 'full';
    if (outcome === 'done') dirty.clear();
    if (outcome === 'more') schedule(0);
    if (outcome === 'refused') schedule(againMs);
    if (outcome === 'full') for (const { stream } of waiting) stream.bound(spoolBytes).catch(failed);
    for (const entry of looked) {
      rest(entry);
      reportDelivered(entry);
    }
  }

  /** full: nothing may be sent before an acknowledgement. done: all is sent but unfinished lines. */
  function sendTurn(waiting: { entry: Entry; stream: LogStream }[]): 'more' | 'done' | 'refused' | 'full' {
    let inFlight = all().reduce((sum, stream) => sum + stream.inFlight, 0);
    let sent = 0;
    let idle = 0;
    while (idle < waiting.length && sent < turnBlocks) {
      if (inFlight >= windowBytes) return 'full';
      const { entry, stream } = waiting[turn++ % waiting.length]!;
      const next = stream.next(entry.ended, Date.now());
      if (next === null) {
        idle++;
        continue;
      }
      if (!options.send({ type: 'logs', ...labelsOf(entry.source), ...next.block }, next.payload)) return 'refused';
      stream.took(next.block);
      inFlight += next.payload.length;
      idle = 0;
      sent++;
    }
    return idle < waiting.length ? 'more' : 'done';
  }

  /** Of sources that nobody watches there may be thousands: files without anything to send are closed. */
  function rest({ source, streams }: Entry): void {
    if (source.watch !== false) return;
    for (const stream of streams.values()) if (stream.delivered) stream.close();
  }

  function reportDelivered(entry: Entry): void {
    if (!entry.ended || entry.reported) return;
    if (![...entry.streams.values()].every((stream) => stream.delivered)) return;
    entry.reported = true;
    options.delivered(entry.source.instance);
  }

  return {
    add(source) {
      const before = entries.get(source.instance);
      if (before) {
        Object.assign(before, { source, ended: false, reported: false });
        touch(before, gatherMs);
        return;
      }
      const files = Object.entries(source.files) as [StreamName, string][];
      const streams = new Map(
        files.map(([name, file]) => [name, new LogStream(name, file, source.free ?? true, failed)]),
      );
      for (const [name, stream] of streams) stream.resume(known.get(`${source.instance} ${name}`) ?? 0);
      const entry: Entry = { source, streams, ended: false, reported: false, unwatch: () => undefined };
      const grew = (): void => touch(entry, gatherMs);
      const directories = source.watch === false ? [] : [...new Set(files.map(([, file]) => path.dirname(file)))];
      const stops = directories.map((directory) => watchDirectory(directory, grew, { pollMs: 2000, fallbackMs: 50 }));
      entry.unwatch = () => stops.forEach((stop) => stop());
      entries.set(source.instance, entry);
      grew();
    },
    end(instance) {
      const entry = entries.get(instance);
      // Whoever says it again is told again: it was not heard, or was forgotten meanwhile.
      if (entry) Object.assign(entry, { ended: true, reported: false });
      touch(entry, 0);
    },
    grew(instance) {
      touch(entries.get(instance), gatherMs);
    },
    remove(instance) {
      const entry = entries.get(instance);
      if (!entry) return;
      entry.unwatch();
      for (const stream of entry.streams.values()) stream.close();
      entries.delete(instance);
      dirty.delete(entry);
      for (const name of entry.streams.keys()) known.delete(`${instance} ${name}`);
    },
    resume(positions) {
      known = new Map(positions.map(({ instance, stream, offset }) => [`${instance} ${stream}`, offset]));
      connected = true;
      for (const entry of entries.values()) {
        for (const [name, stream] of entry.streams) stream.resume(known.get(`${entry.source.instance} ${name}`) ?? 0);
        touch(entry, 0);
      }
    },
    pause() {
      connected = false;
      for (const stream of all()) stream.rewind();
    },
    acked(positions) {
      for (const { instance, stream, offset } of positions) {
        const entry = entries.get(instance);
        entry?.streams.get(stream)?.acked(offset);
        known.set(`${instance} ${stream}`, offset);
        touch(entry, 0);
      }
    },
    close() {
      if (timer) clearTimeout(timer);
      connected = false;
      for (const entry of entries.values()) {
        entry.unwatch();
        for (const stream of entry.streams.values()) stream.close();
      }
      entries.clear();
    },
  };
}

function labelsOf({ instance, name, appId, processType, release, source }: LogSource): LogLabels {
  return { instance, name, appId, processType, release, source };
}
