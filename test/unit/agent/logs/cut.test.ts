import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countLines, cutBlock, longestLine } from '../../../../src/agent/logs/cut.ts';

const bytes = (text: string): Buffer => Buffer.from(text);

describe('cutting blocks', () => {
  it('ends at the last line end', () => {
    expect(cutBlock(bytes('one\ntwo\nthr'), false)).toEqual({ length: 8, partial: false });
    expect(cutBlock(bytes('one\n'), true)).toEqual({ length: 4, partial: false });
  });

  it('waits for the end of a line, unless no more comes', () => {
    expect(cutBlock(bytes('thr'), false)).toEqual({ length: 0, partial: false });
    expect(cutBlock(bytes('thr'), true)).toEqual({ length: 3, partial: true });
    expect(cutBlock(bytes(''), true)).toEqual({ length: 0, partial: false });
  });

  it('splits a long line between characters', () => {
    const long = bytes('x'.repeat(longestLine - 2) + '€');
    expect(cutBlock(long, false)).toEqual({ length: long.length, partial: true });
    expect(cutBlock(long.subarray(0, longestLine), false)).toEqual({ length: longestLine - 2, partial: true });
    expect(cutBlock(Buffer.alloc(longestLine, 0x80), false)).toEqual({ length: longestLine, partial: true });
  });

  it('always gets on with what is long enough', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 9 }), (tail) => {
        const { length } = cutBlock(Buffer.concat([Buffer.alloc(longestLine, 65), tail]), false);
        expect(length).toBeGreaterThan(0);
      }),
    );
  });

  it('counts lines', () => {
    expect(countLines(bytes('a\n\nb'))).toBe(2);
  });
});
