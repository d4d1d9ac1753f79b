/** Where a block of Lua ends (Lua 5.1 reference manual, 2.1): braces in strings and comments do not count. Pure. */

/**
 * @param from behind the `{` that opens the block
 * @returns index of the `}` that closes it; null where none does
 */
export function luaEnd(text: string, from: number): number | null {
  let depth = 1;
  for (let at = from; at < text.length; at++) {
    const char = text[at]!;
    if (char === '{') depth++;
    else if (char === '}') {
      if (--depth === 0) return at;
    } else {
      const end = skip(text, at);
      if (end === null) return null;
      at = end;
    }
  }
  return null;
}

/** Index of the last character of the string or comment that begins here, `at` where none does; null: never closed. */
function skip(text: string, at: number): number | null {
  const char = text[at]!;
  if (char === '"' || char === "'") return quotedEnd(text, at, char);
  if (char === '[') return longEnd(text, at) ?? at;
  if (!text.startsWith('--', at)) return at;
  if (longBracket(text, at + 2) !== null) return longEnd(text, at + 2);
  const end = text.indexOf('\n', at);
  return end < 0 ? null : end;
}

function quotedEnd(text: string, at: number, quote: string): number | null {
  for (let i = at + 1; i < text.length; i++) {
    const char = text[i]!;
    if (char === '\\') i++;
    else if (char === quote) return i;
    else if (char === '\n') return null;
  }
  return null;
}

/** The closing form of the long bracket (`[[`, `[==[`) that begins here. */
function longBracket(text: string, at: number): string | null {
  const opening = /^\[(=*)\[/.exec(text.slice(at, at + 64));
  return opening ? `]${opening[1]!}]` : null;
}

function longEnd(text: string, at: number): number | null {
  const closing = longBracket(text, at);
  if (closing === null) return null;
  const end = text.indexOf(closing, at + closing.length);
  return end < 0 ? null : end + closing.length - 1;
}
