/** One stream of output in a file that only grows: what is there, what was sent, what is stored, what was dropped. */
import { closeSync, constants, fstatSync, openSync, readFileSync, readSync, truncateSync, writeSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import * as z from 'zod/mini';
import type { LogBlock } from '../../shared/contracts/agent.ts';
import { errnoOf } from '../../shared/errors.ts';
import { freeAll, freePrefix } from '../runtimes/spool.ts';
import { countLines, cutBlock } from './cut.ts';

export type StreamName = LogBlock['stream'];

/** How the output of an instance or a build is labelled. */
export type LogLabels = Pick<LogBlock, 'instance' | 'name' | 'appId' | 'processType' | 'release' | 'source'>;

export interface LogSource extends LogLabels {
  /** Absolute paths; a file may not exist yet. */
  files: Partial<Record<StreamName, string>>;
  /** Whether the disk space of delivered output is given back while it is written. Default true. */
  free?: boolean;
  /** false: the caller tells of growth (`LogShipper.grew`), and files are open only while they have something to send. */
  watch?: boolean;
}

export type StreamBlock = Pick<LogBlock, 'stream' | 'from' | 'to' | 'ts' | 'partial' | 'dropped'>;

/** Blocks are at most so long. */
const blockBytes = 256 * 1024;
/** Space is given back in steps of so much. */
const freeStep = 8 * 1024 * 1024;

const stateFile = z.object({
  /** Nothing before this offset can be read any more. */
  start: z.int(),
  /** What of that was never stored by the control plane. */
  dropped: z.object({ from: z.int(), lines: z.int() }),
});

type State = z.infer<typeof stateFile>;

export class LogStream {
  readonly #name: StreamName;
  readonly #file: string;
  readonly #free: boolean;
  readonly #failed: (error: unknown) => void;
  #fd: number | null = null;
  #size = 0;
  #mtime = 0;
  /** Start of the next block. */
  #sent = 0;
  #acked = 0;
  #start = 0;
  #dropped = { from: 0, lines: 0 };
  #busy = false;

  /** @param failed told when space could not be given back */
  constructor(name: StreamName, file: string, free: boolean, failed: (error: unknown) => void) {
    this.#name = name;
    this.#file = file;
    this.#free = free;
    this.#failed = failed;
    const state = readState(`${file}.state`);
    if (state !== null) ({ start: this.#start, dropped: this.#dropped } = state);
    this.#sent = this.#start;
    this.look();
  }

  get inFlight(): number {
    return Math.max(0, this.#sent - Math.max(this.#acked, this.#start));
  }
  /** Whether all that is there is stored by the control plane. */
  get delivered(): boolean {
    return this.#acked >= this.#size;
  }

  /** Takes note of what is in the file now; true when there is something to send. */
  look(): boolean {
    this.#fd ??= openIfThere(this.#file);
    if (this.#fd !== null) ({ size: this.#size, mtimeMs: this.#mtime } = fstatSync(this.#fd));
    return this.#size > this.#sent;
  }

  /** The next block, or null when there is none (yet). `ended`: no more output will come. */
  next(ended: boolean, now: number): { block: StreamBlock; payload: Buffer } | null {
    const length = Math.min(this.#size - this.#sent, blockBytes);
    if (this.#fd === null || length <= 0) return null;
    const buffer = Buffer.allocUnsafe(length);
    const bytes = buffer.subarray(0, readSync(this.#fd, buffer, 0, length, this.#sent));
    const cut = cutBlock(bytes, ended && this.#sent + bytes.length >= this.#size);
    if (cut.length === 0) return null;
    const from = this.#sent;
    const gap = this.#dropped.from < this.#start && from === this.#start;
    const dropped = gap ? { bytes: from - this.#dropped.from, lines: this.#dropped.lines } : { bytes: 0, lines: 0 };
    const ts = new Date(Math.min(now, this.#mtime)).toISOString();
    const block = { stream: this.#name, from, to: from + cut.length, ts, partial: cut.partial, dropped };
    return { block, payload: bytes.subarray(0, cut.length) };
  }

  /** The block was handed over. */
  took(block: StreamBlock): void {
    this.#sent = block.to;
  }

  /** The link broke: what was not acknowledged has to be sent again. */
  rewind(): void {
    this.#sent = Math.max(this.#acked, this.#start);
  }

  /** Goes on from what the control plane has stored. */
  resume(stored: number): void {
    this.look();
    this.#acked = stored;
    const { from, lines } = this.#dropped;
    if (stored < from) {
      this.#dropped = { from: stored, lines };
    } else if (stored < this.#start) {
      // More was stored than had been acknowledged; nobody can count the lines of a part any more.
      const part = (this.#start - stored) / (this.#start - from);
      this.#dropped = { from: stored, lines: Math.round(lines * part) };
    }
    this.#settle();
    // The end of the file was lost in a power cut: offsets must not be used twice.
    if (stored > this.#size && this.#fd !== null) truncateSync(this.#file, stored);
    this.rewind();
    this.look();
  }

  acked(stored: number): void {
    this.#acked = Math.max(this.#acked, Math.min(stored, this.#sent));
    this.#settle();
    if (this.#acked - this.#start >= freeStep) this.#release(this.#acked).catch(this.#failed);
  }

  /** Drops the oldest output beyond `limit` bytes that are not sent. */
  async bound(limit: number): Promise<void> {
    if (this.#busy || this.#fd === null || this.#size - this.#sent <= limit) return;
    this.#busy = true;
    try {
      const from = this.#sent;
      const { lines, end } = await this.#measure(from, this.#size - limit + Math.min(freeStep, limit / 8));
      if (this.#sent !== from) return; // it was sent meanwhile
      if (this.#dropped.from >= this.#start) this.#dropped = { from, lines: 0 };
      this.#dropped = { ...this.#dropped, lines: this.#dropped.lines + lines };
      this.#sent = end;
      this.#busy = false;
      await this.#release(end);
    } finally {
      this.#busy = false;
    }
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }

  /** Lines from an offset to the first line end at or after another. */
  async #measure(from: number, to: number): Promise<{ lines: number; end: number }> {
    const buffer = Buffer.allocUnsafe(blockBytes);
    let lines = 0;
    for (let at = from; ;) {
      const read = this.#fd === null ? 0 : readSync(this.#fd, buffer, 0, blockBytes, at);
      const bytes = buffer.subarray(0, read);
      const newline = at + read > to ? bytes.indexOf(10, Math.max(0, to - at)) : -1;
      if (newline >= 0) return { lines: lines + countLines(bytes.subarray(0, newline + 1)), end: at + newline + 1 };
      lines += countLines(bytes);
      at += read;
      if (read === 0) return { lines, end: at };
      await setImmediate();
    }
  }

  /** Forgets a loss once the control plane has what follows it. */
  #settle(): void {
    if (this.#acked >= this.#start) this.#dropped = { from: this.#start, lines: 0 };
  }

  /** Gives the space before an offset back. */
  async #release(to: number): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    const start = to - (to % 4096);
    try {
      // First the note, then the hole: nobody may read the hole as output.
      this.#start = to;
      this.#settle();
      writeState(`${this.#file}.state`, { start: to, dropped: this.#dropped });
      if (!this.#free) return;
      if (!(await freePrefix(this.#file, start)) && to === this.#size) freeAll(this.#file, this.#size);
    } finally {
      this.#busy = false;
    }
  }
}

function readState(file: string): State | null {
  try {
    return stateFile.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return null; // none yet, or damaged: at worst output is sent once more, as zeros
  }
}

/** In place and always as long, so that it needs no space on a full disk, of which it is to give some back. */
function writeState(file: string, state: State): void {
  const fd = openSync(file, constants.O_WRONLY | constants.O_CREAT, 0o600);
  try {
    writeSync(fd, JSON.stringify(state).padEnd(128), 0);
  } finally {
    closeSync(fd);
  }
}

function openIfThere(file: string): number | null {
  try {
    return openSync(file, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw error;
  }
}
