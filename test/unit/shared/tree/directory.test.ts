import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PaasError } from '../../../../src/shared/errors.ts';
import {
  compareNames,
  decodeDirectory,
  encodeDirectory,
  nameProblem,
  type TreeEntry,
} from '../../../../src/shared/tree/directory.ts';
import { sha256 } from '../../../../src/shared/tree/hash.ts';

const file = (name: string): TreeEntry => ({
  name,
  kind: 'file',
  mode: 0o644,
  size: 3,
  digest: sha256(Buffer.from(name)),
});

const entries = fc.uniqueArray(
  fc.record({
    name: fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
      .filter((name) => nameProblem(name) === undefined),
    kind: fc.constantFrom('file' as const, 'dir' as const, 'link' as const),
    size: fc.maxSafeNat(),
    digest: fc.string().map((text) => sha256(Buffer.from(text))),
    executable: fc.boolean(),
  }),
  { selector: ({ name }) => name },
);

describe('directory objects', () => {
  it('come back as they were, sorted by the bytes of the name, whatever the order they were given in', () => {
    fc.assert(
      fc.property(entries, (given) => {
        const tree = given.map(({ executable, ...entry }): TreeEntry => {
          return { ...entry, mode: entry.kind !== 'file' || executable ? 0o755 : 0o644 };
        });
        const bytes = encodeDirectory(tree);
        expect(bytes.equals(encodeDirectory([...tree].reverse()))).toBe(true);
        const sorted = [...tree].sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
        expect(decodeDirectory(bytes)).toEqual(sorted);
      }),
    );
  });

  it('hold names with newlines, non-ASCII and a genuine U+FFFD', () => {
    const names = ['a\nb', 'ü', '\ufffd', '𝒳', '\ue000', ' ', '-rf'];
    expect(decodeDirectory(encodeDirectory(names.map(file))).map(({ name }) => name)).toEqual(names.sort(compareNames));
  });

  it('are an encoding that is known for ever: a digest in a release must mean the same tomorrow', () => {
    const bytes = encodeDirectory([file('b'), { ...file('a'), kind: 'dir', mode: 0o755 }]);
    expect(sha256(bytes)).toBe('6384fc00cc52973db5995746b55c28e084c12f3526191a94d7c370322be21118');
  });

  it.each(['', '.', '..', 'a/b', 'a\0b', '\ud800', 'ü'.repeat(128)])('refuse the name %j', (name) => {
    expect(() => encodeDirectory([file(name)])).toThrow(PaasError);
  });

  it('refuse a name that is there twice', () => {
    expect(() => encodeDirectory([file('a'), file('a')])).toThrow(/twice/);
  });

  it('refuse every spelling but the one', () => {
    const good = encodeDirectory([file('a'), file('b')]).toString('latin1');
    const bad = [
      good.slice(0, -1),
      good.replace('paas-tree-1', 'paas-tree-2'),
      good.replace('f 3 ', 'g 3 '),
      good.replace('f 3 ', 'f 03 '),
      good.replace('f 3 ', 'f -3 '),
      good.replace('f 3 ', 'f 1e3 '),
      good.replace(' a\0', ' b\0'),
      good.replace(' b\0', ' ..\0'),
      good.replace(' b\0', ' \xff\0'),
      good.replace(/[0-9a-f]{64}/, (digest) => digest.toUpperCase()),
      `${good}\0`,
      '',
    ];
    for (const text of bad)
      expect(() => decodeDirectory(Buffer.from(text, 'latin1')), JSON.stringify(text)).toThrow(
        expect.objectContaining({ code: 'corrupt' }),
      );
  });

  it('never crash the decoder: any bytes are a tree or a typed error', () => {
    const good = encodeDirectory([file('a'), file('b'), file('ü')]);
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.uint8Array({ maxLength: 5 }), (at, noise) => {
        const bytes = Buffer.concat([good.subarray(0, at), Buffer.from(noise), good.subarray(at + 1)]);
        try {
          expect(encodeDirectory(decodeDirectory(bytes)).equals(bytes)).toBe(true);
        } catch (error) {
          expect(error).toMatchObject({ code: 'corrupt' });
        }
      }),
    );
  });
});
