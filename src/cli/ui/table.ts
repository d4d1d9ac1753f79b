/** Columns that line up, whatever is in them. */

/** How many columns of a terminal a text takes; colour takes none, East Asian characters and emoji take two. */
export function widthOf(text: string): number {
  const bare = text.replace(/\u001b\[[0-9;]*m/g, '');
  if (/^[\u0020-\u007e]*$/.test(bare)) return bare.length;
  let width = 0;
  for (const character of bare) width += wide.test(character) ? 2 : zero.test(character) ? 0 : 1;
  return width;
}

const wide =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;
const zero = /[\p{Mn}\p{Me}\p{Cf}]/u;

/** Text from elsewhere on one line and without control characters, which could otherwise steer the terminal. */
export function oneLine(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ');
}

/** Lines of a table. Columns of numbers (header ends with `#`, which is not shown) are aligned to the right. */
export function tableLines(
  headers: readonly string[],
  rows: readonly (readonly string[])[],
  head: (text: string) => string,
): string[] {
  const rightOf = headers.map((header) => header.endsWith('#'));
  const titles = headers.map((header) => header.replace(/#$/, ''));
  const widths = titles.map((title, i) => Math.max(widthOf(title), ...rows.map((row) => widthOf(row[i] ?? ''))));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => {
        const fill = ' '.repeat(Math.max(0, widths[i]! - widthOf(cell)));
        return rightOf[i] === true ? fill + cell : cell + fill;
      })
      .join('  ')
      .trimEnd();
  return [head(line(titles)), ...rows.map(line)];
}
