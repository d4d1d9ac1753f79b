import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeDirectory } from '../../../../src/shared/tree/directory.ts';
import { sha256 } from '../../../../src/shared/tree/hash.ts';
import { encodePack, packBytes, type PackObject } from '../../../../src/shared/tree/pack.ts';
import { PackParser, readPack, type PackHandler, type PackLimits } from '../../../../src/shared/tree/unpack.ts';

const blob = (source: Buffer): PackObject => ({ kind: 'blob', digest: sha256(source), size: source.length, source });

/** Takes objects in, whole and in pieces alike. */
function collector(): PackHandler & { objects: Map<string, Buffer>; kinds: string[] } {
  const objects = new Map<string, Buffer>();
  const kinds: string[] = [];
  let parts: Buffer[] = [];
  return {
    objects,
    kinds,
    object: ({ digest, kind }, bytes) => (kinds.push(kind), void objects.set(digest, Buffer.from(bytes))),
    begin: () => void (parts = []),
    data: (bytes) => void parts.push(Buffer.from(bytes)),
    end: ({ digest, kind }) => (kinds.push(kind), void objects.set(digest, Buffer.concat(parts))),
  };
}

function parse(pack: Buffer, cut: number, limits: Partial<PackLimits> = {}): ReturnType<typeof collector> {
  const into = collector();
  const parser = new PackParser(into, limits);
  for (let at = 0; at < pack.length; at += cut) parser.write(pack.subarray(at, at + cut));
  parser.finish();
  return into;
}

describe('pack streams', () => {
  let directory: string;
  beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), 'paas-pack-'))));
  afterAll(() => rmSync(directory, { recursive: true }));

  const tree: PackObject = { ...blob(encodeDirectory([])), kind: 'tree' };
  const objects = [tree, blob(Buffer.alloc(0)), blob(Buffer.from('x')), blob(randomBytes(70_000)), tree];
  const pack = Buffer.concat([...encodePack(objects, 1000)]);

  it('come back whole, however they are cut', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 80_000 }), fc.integer({ min: 0, max: 80_000 }), (cut, wholeBytes) => {
        const { objects: got, kinds } = parse(pack, cut, { wholeBytes });
        for (const { digest, source } of objects) expect(got.get(digest)?.equals(source as Buffer)).toBe(true);
        expect(kinds).toEqual(objects.map(({ kind }) => kind));
      }),
      { numRuns: 60 },
    );
  });

  it('have the size that was announced, in chunks of the size that was asked for', () => {
    expect(pack).toHaveLength(packBytes(objects));
    const chunks = [...encodePack(objects, 1000)];
    expect(chunks.slice(0, -1).every((chunk) => chunk.length === 1000)).toBe(true);
    expect(Buffer.concat([...encodePack([], 10)])).toHaveLength(packBytes([]));
  });

  it('take files of any size, and notice those that are no longer what was hashed', () => {
    const content = randomBytes(10_000);
    const file = join(directory, 'file');
    const object: PackObject = { ...blob(content), source: { file } };
    for (const chunk of [100, 9_999, 10_000, 10_041, 20_000, 1 << 20]) {
      writeFileSync(file, content);
      expect(parse(Buffer.concat([...encodePack([object, object], chunk)]), 777).objects.get(object.digest)).toEqual(
        content,
      );
      const changes = [content.subarray(1), Buffer.concat([content, Buffer.from('x')]), randomBytes(10_000)];
      for (const changed of changes) {
        writeFileSync(file, changed);
        expect(() => [...encodePack([object], chunk)]).toThrow(expect.objectContaining({ code: 'source_changed' }));
      }
    }
    const link = join(directory, 'link');
    symlinkSync(file, link);
    for (const gone of [link, join(directory, 'gone')])
      expect(() => [...encodePack([{ ...object, source: { file: gone } }], 100)]).toThrow(/changed/);
  });

  it('are refused as corrupt when a byte is wrong, missing or too many', () => {
    fc.assert(
      fc.property(fc.nat(pack.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const damaged = Buffer.from(pack);
        damaged[at]! ^= flip;
        let kinds: string[] = [];
        try {
          kinds = parse(damaged, 5000).kinds;
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^(corrupt|too_large)$/) });
          return;
        }
        // A kind letter is covered by no digest: `t` may become `b`.
        expect(kinds).not.toEqual(objects.map(({ kind }) => kind));
      }),
    );
    for (const end of [0, 7, 8, 40, pack.length - 1])
      expect(() => parse(pack.subarray(0, end), 5000)).toThrow(expect.objectContaining({ code: 'corrupt' }));
    expect(() => parse(Buffer.concat([pack, Buffer.from('x')]), 5000)).toThrow(/after its end/);
  });

  it('are never a crash or a hang: any bytes end in a typed error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (noise, magic) => {
        const bytes = magic ? Buffer.concat([pack.subarray(0, 8), Buffer.from(noise)]) : Buffer.from(noise);
        expect(() => parse(bytes, 64)).toThrow(
          expect.objectContaining({ code: expect.stringMatching(/^(corrupt|too_large)$/) }),
        );
      }),
    );
  });

  it('are bounded: objects, their number, directories', () => {
    const big = pack.length;
    expect(() => parse(pack, big, { maxObjectBytes: 50_000 })).toThrow(expect.objectContaining({ code: 'too_large' }));
    expect(() => parse(pack, big, { maxRecords: 4 })).toThrow(expect.objectContaining({ code: 'too_large' }));
    const claim = Buffer.from(pack.subarray(0, 49));
    claim.writeBigUInt64BE(2n ** 63n, 41);
    expect(() => parse(claim, big)).toThrow(expect.objectContaining({ code: 'too_large' }));
  });

  it('are read from any stream', async () => {
    const into = collector();
    async function* cut(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < pack.length; at += 999)
        yield await Promise.resolve(new Uint8Array(pack.subarray(at, at + 999)));
    }
    expect(await readPack(cut(), into)).toEqual({ records: objects.length, bytes: pack.length });
  });
});
