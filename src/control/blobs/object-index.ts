/** Where every object lies, in memory: about 70 bytes an object (a Map of strings takes 300). */

export interface ObjectPlace {
  digest: string;
  /** Number of the pack. */
  pack: number;
  /** Where the object's bytes begin in the pack's file; its header is right before. */
  offset: number;
  size: number;
  /** Its bytes look like a directory object. */
  tree: boolean;
}

const treeFlag = 1;
const goneFlag = 2;

/**
 * An open-addressing hash table over columns. Entries have numbers, which stay the same until `compact`; an entry that
 * is dropped keeps its number and can come back.
 */
export class ObjectIndex {
  /** Goes up whenever something disappears: what was found to be complete before may not be any more. */
  removals = 0;
  #count = 0;
  #gone = 0;
  #slots = new Int32Array(1024);
  #digests = Buffer.alloc(32 * 512);
  #packs = new Uint32Array(512);
  #offsets = new Float64Array(512);
  #sizes = new Float64Array(512);
  #flags = new Uint8Array(512);

  /** Number of entries, dropped ones included: entry numbers are below this. */
  get length(): number {
    return this.#count;
  }
  get objects(): number {
    return this.#count - this.#gone;
  }

  /** Entry of an object that is there, or -1. */
  find(digest: string): number {
    const bytes = Buffer.from(digest, 'hex');
    const entry = bytes.length === 32 ? this.#lookup(bytes) : -1;
    return entry < 0 || this.isGone(entry) ? -1 : entry;
  }

  isGone(entry: number): boolean {
    return (this.#flags[entry]! & goneFlag) !== 0;
  }
  isTree(entry: number): boolean {
    return (this.#flags[entry]! & treeFlag) !== 0;
  }
  packOf(entry: number): number {
    return this.#packs[entry]!;
  }
  sizeOf(entry: number): number {
    return this.#sizes[entry]!;
  }
  place(entry: number): ObjectPlace {
    return {
      digest: this.#digests.toString('hex', entry * 32, entry * 32 + 32),
      pack: this.#packs[entry]!,
      offset: this.#offsets[entry]!,
      size: this.#sizes[entry]!,
      tree: this.isTree(entry),
    };
  }

  /** Adds an object, or points it to a new place: the newest copy is the one that counts. */
  set(digest: Uint8Array, pack: number, offset: number, size: number, tree: boolean): void {
    let entry = this.#lookup(digest);
    if (entry < 0) {
      if (this.#count === this.#packs.length) this.#grow();
      entry = this.#count++;
      this.#digests.set(digest, entry * 32);
      this.#slots[this.#freeSlot(digest)] = entry + 1;
    } else if (this.isGone(entry)) {
      this.#gone--;
    }
    this.#packs[entry] = pack;
    this.#offsets[entry] = offset;
    this.#sizes[entry] = size;
    this.#flags[entry] = tree ? treeFlag : 0;
  }

  drop(entry: number): void {
    if (this.isGone(entry)) return;
    this.#flags[entry] = this.#flags[entry]! | goneFlag;
    this.#gone++;
    this.removals++;
  }

  /** Gives the memory of dropped entries back. Entry numbers change. */
  compact(): void {
    if (this.#gone * 2 < this.#count) return;
    const kept = new ObjectIndex();
    for (let entry = 0; entry < this.#count; entry++) {
      if (this.isGone(entry)) continue;
      const digest = this.#digests.subarray(entry * 32, entry * 32 + 32);
      kept.set(digest, this.#packs[entry]!, this.#offsets[entry]!, this.#sizes[entry]!, this.isTree(entry));
    }
    this.#count = kept.#count;
    this.#gone = 0;
    this.#slots = kept.#slots;
    this.#digests = kept.#digests;
    this.#packs = kept.#packs;
    this.#offsets = kept.#offsets;
    this.#sizes = kept.#sizes;
    this.#flags = kept.#flags;
  }

  #slotOf(digest: Uint8Array): number {
    const word = digest[0]! | (digest[1]! << 8) | (digest[2]! << 16) | (digest[3]! << 24);
    return word & (this.#slots.length - 1);
  }

  #lookup(digest: Uint8Array): number {
    for (let slot = this.#slotOf(digest); ; slot = (slot + 1) & (this.#slots.length - 1)) {
      const entry = this.#slots[slot]! - 1;
      if (entry < 0) return -1;
      if (this.#digests.compare(digest, 0, 32, entry * 32, entry * 32 + 32) === 0) return entry;
    }
  }

  #freeSlot(digest: Uint8Array): number {
    let slot = this.#slotOf(digest);
    while (this.#slots[slot] !== 0) slot = (slot + 1) & (this.#slots.length - 1);
    return slot;
  }

  #grow(): void {
    const size = this.#packs.length * 2;
    const digests = Buffer.alloc(size * 32);
    this.#digests.copy(digests);
    this.#digests = digests;
    const packs = new Uint32Array(size);
    packs.set(this.#packs);
    this.#packs = packs;
    const offsets = new Float64Array(size);
    offsets.set(this.#offsets);
    this.#offsets = offsets;
    const sizes = new Float64Array(size);
    sizes.set(this.#sizes);
    this.#sizes = sizes;
    const flags = new Uint8Array(size);
    flags.set(this.#flags);
    this.#flags = flags;
    this.#slots = new Int32Array(size * 2);
    for (let entry = 0; entry < this.#count; entry++)
      this.#slots[this.#freeSlot(this.#digests.subarray(entry * 32, entry * 32 + 32))] = entry + 1;
  }
}
