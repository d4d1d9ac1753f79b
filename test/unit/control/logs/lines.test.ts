import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countLines, maxLineBytes, splitLines } from '../../../../src/control/logs/lines.ts';

/** Output with line ends of both kinds, bytes that are no UTF-8, and lines around the limit. */
const output = fc
  .array(
    fc.oneof(
      fc.constantFrom('\n', '\r\n', '\r', 'é', 'text', ''),
      fc.uint8Array({ maxLength: 5 }),
      fc.integer({ min: maxLineBytes - 2, max: maxLineBytes + 2 }).map((n) => 'x'.repeat(n)),
    ),
    { maxLength: 12 },
  )
  .map((parts) => Buffer.concat(parts.map((part) => Buffer.from(part))));

describe('splitting output into lines', () => {
  it('finds as many as were counted, whatever the output', () => {
    fc.assert(
      fc.property(output, (payload) => {
        const { lines, long } = countLines(payload);
        expect(splitLines(payload, long).lines).toHaveLength(lines);
      }),
    );
  });

  it('loses no character of text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const { lines } = splitLines(Buffer.from(text), false);
        const ended = text === '' || text.endsWith('\n') ? text : `${text}\n`;
        expect(lines.map((line) => `${line}\n`).join('')).toBe(ended.replaceAll('\r\n', '\n'));
      }),
    );
  });

  it.each([
    ['', []],
    ['\n', ['']],
    ['a', ['a']],
    ['a\n', ['a']],
    ['a\n\n', ['a', '']],
    ['a\r\nb\rc\r\n', ['a', 'b\rc']],
  ])('%j', (text, expected) => {
    expect(countLines(Buffer.from(text)).lines).toBe(expected.length);
    expect(splitLines(Buffer.from(text), false).lines).toEqual(expected);
  });

  it('cuts a long line into pieces of which all but the last go on', () => {
    const payload = Buffer.from(`a\n${'x'.repeat(maxLineBytes * 2)}\n${'y'.repeat(maxLineBytes + 1)}`);
    expect(countLines(payload)).toEqual({ lines: 5, long: true });
    const { lines, more } = splitLines(payload, true);
    expect(lines.map(({ length }) => length)).toEqual([1, maxLineBytes, maxLineBytes, maxLineBytes, 1]);
    expect([...more]).toEqual([1, 3]);
  });
});
