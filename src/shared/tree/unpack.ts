/** Reading pack streams (format: pack.ts) from a source that is not trusted. */
import { createHash, type Hash } from 'node:crypto';
import { PaasError } from '../errors.ts';
import { maxDirectoryBytes } from './directory.ts';
import { sha256 } from './hash.ts';
import { packMagic, packTail, recordHeaderBytes, type ObjectKind } from './pack.ts';

export interface PackRecord {
  kind: ObjectKind;
  digest: string;
  size: number;
  /** Where the object's bytes begin in the stream. */
  offset: number;
}

/**
 * What is done with the objects. Everything is called synchronously, and an object's digest has been verified when
 * `object` or `end` is called for it. Buffers may be reused after the call: copy what must live on.
 */
export interface PackHandler {
  /** A whole object: every directory object, and each other of at most `wholeBytes`. */
  object(record: PackRecord, bytes: Buffer): void;
  /** Larger objects come in pieces. When the stream fails in between, `end` is never called. */
  begin(record: PackRecord): void;
  data(bytes: Buffer): void;
  end(record: PackRecord): void;
}

export interface PackLimits {
  /** Objects up to this size are handed over whole. */
  wholeBytes: number;
  maxRecords: number;
  maxObjectBytes: number;
}

export const defaultPackLimits: PackLimits = {
  wholeBytes: 1024 * 1024,
  maxRecords: 2_000_000,
  maxObjectBytes: 64 * 1024 ** 3,
};

/**
 * A push parser of one pack stream: `write` the bytes as they come, cut anywhere, then `finish`. Both throw `corrupt`
 * (malformed, cut short, or an object that does not match its digest) or `too_large`; the parser is unusable after.
 */
export class PackParser {
  /** Bytes taken so far. */
  offset = 0;
  records = 0;
  readonly #handler: PackHandler;
  readonly #limits: PackLimits;
  #state: 'magic' | 'header' | 'whole' | 'pieces' | 'done' | 'failed' = 'magic';
  #need = packMagic.length;
  /** Bytes of an item (header or small object) that a chunk's border cut. */
  #parts: Buffer[] = [];
  #have = 0;
  #record: PackRecord | undefined;
  #hash: Hash | undefined;

  constructor(handler: PackHandler, limits: Partial<PackLimits> = {}) {
    this.#handler = handler;
    this.#limits = { ...defaultPackLimits, ...limits };
  }

  write(chunk: Buffer): void {
    try {
      for (let at = 0; at < chunk.length;) at += this.#take(chunk.subarray(at, at + this.#need - this.#have));
    } catch (error) {
      this.#state = 'failed';
      throw error;
    }
  }

  /** Whether the end record has come. */
  get complete(): boolean {
    return this.#state === 'done';
  }

  finish(): void {
    if (this.#state !== 'done')
      throw new PaasError(
        'corrupt',
        `A pack stream ends early, after ${this.records} objects and ${this.offset} bytes.`,
      );
  }

  /** Takes bytes of the current item, never more than it still needs. */
  #take(bytes: Buffer): number {
    if (this.#state === 'done' || this.#state === 'failed')
      throw new PaasError('corrupt', 'A pack stream goes on after its end.');
    this.offset += bytes.length;
    this.#have += bytes.length;
    if (this.#state === 'pieces') {
      this.#hash!.update(bytes);
      this.#handler.data(bytes);
      if (this.#have === this.#need) this.#endPieces();
    } else if (this.#have < this.#need) {
      this.#parts.push(Buffer.from(bytes));
    } else {
      const item = this.#parts.length === 0 ? bytes : Buffer.concat([...this.#parts, bytes], this.#need);
      this.#parts = [];
      this.#item(item);
    }
    return bytes.length;
  }

  #expect(state: 'header' | 'whole' | 'pieces' | 'done', need: number): void {
    this.#state = state;
    // Nothing may follow the end: one more byte is enough to see that something does.
    this.#need = state === 'done' ? 1 : need;
    this.#have = 0;
  }

  #item(item: Buffer): void {
    if (this.#state === 'magic') {
      if (!item.equals(packMagic)) throw new PaasError('corrupt', 'This is not a pack stream.');
      this.#expect('header', recordHeaderBytes);
    } else if (this.#state === 'header') {
      this.#header(item);
    } else {
      const record = this.#record!;
      if (sha256(item) !== record.digest) throw mismatch(record);
      this.#handler.object(record, item);
      this.#expect('header', recordHeaderBytes);
    }
  }

  #header(header: Buffer): void {
    const letter = header.toString('latin1', 0, 1);
    const size = Number(header.readBigUInt64BE(33));
    if (letter === 'e') {
      if (size !== this.records || !header.equals(packTail(size)))
        throw new PaasError('corrupt', 'A pack stream has lost records.');
      this.#expect('done', 0);
      return;
    }
    if (letter !== 't' && letter !== 'b') throw new PaasError('corrupt', 'A pack stream has a record of unknown kind.');
    const kind = letter === 't' ? 'tree' : 'blob';
    const limit = kind === 'tree' ? maxDirectoryBytes : this.#limits.maxObjectBytes;
    if (size > limit)
      throw new PaasError('too_large', `An object of ${size} bytes is over the limit of ${limit} bytes.`);
    if (++this.records > this.#limits.maxRecords)
      throw new PaasError('too_large', `A pack stream has more than ${this.#limits.maxRecords} objects.`);
    const record: PackRecord = { kind, digest: header.toString('hex', 1, 33), size, offset: this.offset };
    this.#record = record;
    if (kind === 'tree' || size <= this.#limits.wholeBytes) {
      this.#expect('whole', size);
      if (size === 0) this.#item(Buffer.alloc(0));
    } else {
      this.#hash = createHash('sha256');
      this.#handler.begin(record);
      this.#expect('pieces', size);
    }
  }

  #endPieces(): void {
    const record = this.#record!;
    if (this.#hash!.digest('hex') !== record.digest) throw mismatch(record);
    this.#handler.end(record);
    this.#expect('header', recordHeaderBytes);
  }
}

const mismatch = (record: PackRecord): PaasError =>
  new PaasError('corrupt', `The object ${record.digest} does not match its digest.`, {
    details: { digest: record.digest },
  });

/** Runs a whole pack stream through `handler`. Throws as `PackParser` does. */
export async function readPack(
  stream: AsyncIterable<Uint8Array>,
  handler: PackHandler,
  limits: Partial<PackLimits> = {},
): Promise<{ records: number; bytes: number }> {
  const parser = new PackParser(handler, limits);
  for await (const chunk of stream)
    parser.write(Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
  parser.finish();
  return { records: parser.records, bytes: parser.offset };
}
