/** Building a segment's summary while it is written or read. */
import type { Block, Origin } from './lines.ts';
import { tagsOf, type Summary } from './segment.ts';

const maxTags = 512;

/** A summary that grows. Taking blocks back is not needed: saying too much only makes a query read in vain. */
export class SummaryBuilder {
  readonly n: number;
  bytes = 0;
  lines = 0;
  readonly ord: number;
  nextOrd: number;
  ts: [number, number] | null = null;
  writtenAt: number;
  #tags = new Set<string>();

  constructor(n: number, ord: number, writtenAt: number) {
    this.n = n;
    this.ord = ord;
    this.nextOrd = ord;
    this.writtenAt = writtenAt;
  }

  add(block: Block): void {
    this.lines += block.lines;
    this.nextOrd = Math.max(this.nextOrd, block.ord + 1);
    this.ts = this.ts ? [Math.min(this.ts[0], block.ts), Math.max(this.ts[1], block.ts)] : [block.ts, block.ts];
  }

  /** Notes where blocks come from; once per origin is enough. */
  addOrigin(origin: Origin): void {
    if (this.#tags.size > maxTags) return;
    for (const tag of tagsOf(origin)) this.#tags.add(tag);
  }

  /** The summary as it is now. */
  take(): Summary {
    const { n, bytes, lines, ord, nextOrd, ts, writtenAt } = this;
    return { n, bytes, lines, ord, nextOrd, ts, writtenAt, tags: this.#tags.size > maxTags ? null : [...this.#tags] };
  }
}
