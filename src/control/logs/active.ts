/** The segment that is written to: blocks are added, synced, or taken back to the last sync. */
import { truncate, unlink } from 'node:fs/promises';
import { createDurably, segmentPath, writeAll, type HandleCache } from './files.ts';
import type { Block, Origin } from './lines.ts';
import { encodeBlock, encodeHead, type Head } from './segment.ts';
import { SummaryBuilder } from './summary.ts';

export interface Writable {
  block: Block & { from: number };
  payload: Buffer;
}

export interface KnownOrigin {
  index: number;
  /** Where in the file it is spelt out. */
  at: number;
}

export class ActiveSegment {
  readonly summary: SummaryBuilder;
  readonly createdAt: number;
  readonly #path: string;
  readonly #handles: HandleCache;
  /** Keyed by the origin's text, since senders make a new object for each block. */
  readonly #origins: Map<string, KnownOrigin>;
  #nextIndex: number;
  #size: number;
  #synced: number;
  /** Whether the file may be longer than `#synced` after a failure. */
  #dirty = false;

  constructor(
    directory: string,
    handles: HandleCache,
    summary: SummaryBuilder,
    createdAt: number,
    origins: Map<string, KnownOrigin>,
  ) {
    this.#path = segmentPath(directory, summary.n);
    this.#handles = handles;
    this.summary = summary;
    this.createdAt = createdAt;
    this.#origins = origins;
    this.#nextIndex = Math.max(-1, ...Array.from(origins.values(), ({ index }) => index)) + 1;
    this.#size = this.#synced = summary.bytes;
  }

  /** Makes the file. A failure leaves none behind. */
  static async create(directory: string, handles: HandleCache, head: Head): Promise<ActiveSegment> {
    const content = encodeHead(head);
    const path = segmentPath(directory, head.n);
    try {
      await createDurably(directory, path, content);
    } catch (error) {
      await unlink(path).catch(() => undefined); // The first error is the one to tell.
      throw error;
    }
    const summary = new SummaryBuilder(head.n, head.ord, head.createdAt);
    summary.bytes = content.length;
    return new ActiveSegment(directory, handles, summary, head.createdAt, new Map());
  }

  get size(): number {
    return this.#size;
  }

  /** Adds blocks at the end; readers of the file see them from then on. */
  async write(entries: readonly Writable[], now: number): Promise<void> {
    await this.#clean();
    const parts: Buffer[] = [];
    let at = this.#size;
    for (const { block, payload } of entries) {
      const frame = this.#encode(block, payload, at);
      parts.push(...frame);
      at += frame[0].length + frame[1].length;
    }
    this.#dirty = true;
    await this.#handles.use(this.#path, (file) => writeAll(file, Buffer.concat(parts), this.#size));
    this.#dirty = false;
    this.#size = this.summary.bytes = at;
    this.summary.writtenAt = now;
    for (const { block } of entries) this.summary.add(block);
  }

  async sync(): Promise<void> {
    if (this.#synced === this.#size) return;
    const size = this.#size;
    await this.#handles.use(this.#path, (file) => file.datasync());
    this.#synced = size;
  }

  /** Goes back to the last sync. Where even that fails, the next write tries it first. `lines`: how many go. */
  async undo(lines: number): Promise<void> {
    this.#size = this.summary.bytes = this.#synced;
    this.summary.lines -= lines;
    for (const [key, origin] of this.#origins) if (origin.at >= this.#synced) this.#origins.delete(key);
    this.#dirty = true;
    await this.#clean().catch(() => undefined); // The caller tells of the failure that led here.
  }

  async release(): Promise<void> {
    await this.#handles.release(this.#path);
  }

  async #clean(): Promise<void> {
    if (!this.#dirty) return;
    await truncate(this.#path, this.#size);
    this.#dirty = false;
  }

  #encode(block: Block & { from: number }, payload: Buffer, at: number): [Buffer, Buffer] {
    const key = originKey(block.origin);
    const known = this.#origins.get(key);
    if (known) return encodeBlock(block, known.index, false, payload);
    const index = this.#nextIndex++;
    this.#origins.set(key, { index, at });
    this.summary.addOrigin(block.origin);
    return encodeBlock(block, index, true, payload);
  }
}

export function originKey({ id, name, process, release, source }: Origin): string {
  return JSON.stringify([id, name, process, release, source]);
}
