/** Where a block of output may end. Pure. */

/** Longer lines are sent in pieces. */
export const longestLine = 64 * 1024;

/**
 * How much of a buffer makes a block.
 * @param bytes what is there, from the end of the last block
 * @param ended whether no more will come
 * @returns the block's length, 0 when its line has to be waited for, and whether the block's last line goes on
 */
export function cutBlock(bytes: Buffer, ended: boolean): { length: number; partial: boolean } {
  const newline = bytes.lastIndexOf(10);
  if (newline >= 0) return { length: newline + 1, partial: false };
  if (ended) return { length: bytes.length, partial: bytes.length > 0 };
  if (bytes.length < longestLine) return { length: 0, partial: false };
  return { length: wholeCharacters(bytes), partial: true };
}

/** Length without a UTF-8 character that is cut off at the end (RFC 3629); what is no UTF-8 is left as it is. */
function wholeCharacters(bytes: Buffer): number {
  for (let back = 1; back <= 3; back++) {
    const byte = bytes[bytes.length - back]!;
    if ((byte & 0b1100_0000) === 0b1000_0000) continue;
    const needs = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return needs > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

export function countLines(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) lines++;
  return lines;
}
