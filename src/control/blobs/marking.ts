/** The first half of a collection: what must stay. */
import { setImmediate } from 'node:timers/promises';
import { PaasError } from '../../shared/errors.ts';
import type { TreeEntry } from '../../shared/tree/directory.ts';
import type { Objects } from './objects.ts';

const marked = 1;
/** Its children are marked too. */
const entered = 2;
const sliceMs = 20;

/** Marks by entry number of the index. Live roots come first: only their gaps count as damage. */
export class Marking {
  /** What a live root reaches and is missing or damaged. What lies below is unknown, so nothing may be removed. */
  readonly damaged: string[] = [];
  readonly #objects: Objects;
  #marks: Uint8Array;
  #restedAt = performance.now();

  constructor(objects: Objects) {
    this.#objects = objects;
    this.#marks = new Uint8Array(objects.index.length + 1024);
  }

  has(entry: number): boolean {
    return (this.#marks[entry] ?? 0) !== 0;
  }
  isEntered(entry: number): boolean {
    return ((this.#marks[entry] ?? 0) & entered) !== 0;
  }

  /**
   * Marks an object and, if it is a directory, all that it reaches.
   * @param live gaps are damage; otherwise (leases, young packs) a part may not have arrived yet
   */
  async closure(root: string, live: boolean): Promise<void> {
    const { index } = this.#objects;
    const stack = [root];
    for (let digest = stack.pop(); digest !== undefined; digest = stack.pop()) {
      const entry = index.find(digest);
      if (entry < 0 && live) this.damaged.push(digest);
      if (entry < 0 || this.isEntered(entry)) continue;
      this.#mark(entry, marked | entered);
      if (digest === root && !index.isTree(entry)) continue;
      for (const child of this.#children(digest, live)) {
        const place = index.find(child.digest);
        if (place >= 0) this.#mark(place, marked);
        else if (live) this.damaged.push(child.digest);
        if (place >= 0 && child.kind === 'dir') stack.push(child.digest);
      }
      if (performance.now() - this.#restedAt > sliceMs) {
        await setImmediate();
        this.#restedAt = performance.now();
      }
    }
  }

  #children(digest: string, live: boolean): TreeEntry[] {
    try {
      return this.#objects.directory(digest);
    } catch (error) {
      if (!(error instanceof PaasError) || (error.code !== 'corrupt' && error.code !== 'not_found')) throw error;
      // Still in the index: its digest is right, so it is a file that only begins like a directory object.
      if (this.#objects.index.find(digest) < 0 && live) this.damaged.push(digest);
      return [];
    }
  }

  #mark(entry: number, bits: number): void {
    if (entry >= this.#marks.length) {
      const larger = new Uint8Array(Math.max(entry + 1, this.#marks.length * 2));
      larger.set(this.#marks);
      this.#marks = larger;
    }
    this.#marks[entry] = this.#marks[entry]! | bits;
  }
}
