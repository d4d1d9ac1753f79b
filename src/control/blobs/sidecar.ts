/**
 * The sidecar of a pack: what lies where in it, so that a start need not read all packs. Only ever a copy of what the
 * pack says: one that is missing or damaged is made again.
 *
 *   "paasidx1" | bytes of the pack 8 | records × (sha256 32 | offset 8 | size 8 | flags 1) | sha256 of all before 32
 */
import { createHash } from 'node:crypto';

const magic = Buffer.from('paasidx1');
const headBytes = 16;
const recordBytes = 49;

export interface SidecarRecord {
  /** 32 bytes. */
  digest: Buffer;
  offset: number;
  size: number;
  tree: boolean;
}

/** Collects the records of a pack while it arrives. */
export class SidecarBuilder {
  #bytes = Buffer.alloc(headBytes + 16 * recordBytes);
  #used = headBytes;

  get count(): number {
    return (this.#used - headBytes) / recordBytes;
  }

  add(digest: string, offset: number, size: number, tree: boolean): void {
    if (this.#used + recordBytes > this.#bytes.length) {
      const larger = Buffer.alloc(this.#bytes.length * 2);
      this.#bytes.copy(larger);
      this.#bytes = larger;
    }
    this.#bytes.write(digest, this.#used, 'hex');
    this.#bytes.writeDoubleBE(offset, this.#used + 32);
    this.#bytes.writeDoubleBE(size, this.#used + 40);
    this.#bytes[this.#used + 48] = tree ? 1 : 0;
    this.#used += recordBytes;
  }

  *records(): Generator<SidecarRecord> {
    yield* parseRecords(this.#bytes, this.#used);
  }

  encode(packBytes: number): Buffer {
    magic.copy(this.#bytes);
    this.#bytes.writeDoubleBE(packBytes, 8);
    const body = this.#bytes.subarray(0, this.#used);
    return Buffer.concat([body, createHash('sha256').update(body).digest()]);
  }
}

function* parseRecords(bytes: Buffer, end: number): Generator<SidecarRecord> {
  for (let at = headBytes; at < end; at += recordBytes)
    yield {
      digest: bytes.subarray(at, at + 32),
      offset: bytes.readDoubleBE(at + 32),
      size: bytes.readDoubleBE(at + 40),
      tree: bytes[at + 48] === 1,
    };
}

/** The records of a sidecar, or undefined when it is damaged or speaks of a pack of another size. */
export function decodeSidecar(bytes: Buffer, packBytes: number): Iterable<SidecarRecord> | undefined {
  const end = bytes.length - 32;
  if (end < headBytes || (end - headBytes) % recordBytes !== 0) return undefined;
  if (bytes.compare(magic, 0, 8, 0, 8) !== 0 || bytes.readDoubleBE(8) !== packBytes) return undefined;
  if (!createHash('sha256').update(bytes.subarray(0, end)).digest().equals(bytes.subarray(end))) return undefined;
  return parseRecords(bytes, end);
}
