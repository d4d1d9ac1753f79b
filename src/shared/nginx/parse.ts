/**
 * nginx's configuration syntax, read as nginx reads it (ngx_conf_read_token): what is a quote, a comment or the end of a
 * directive here must be the same there, or a snippet could break out of the place where it is put. Pure.
 */
import { luaEnd } from './lua.ts';

export interface Directive {
  name: string;
  args: string[];
  /** Of its name, from 1. */
  line: number;
  /** What stands in its braces; absent where it ends with `;` or holds Lua. */
  block?: Directive[];
  /** The code in the braces of a `…_by_lua_block`. */
  lua?: string;
}

/** Text that is no configuration. */
export class SyntaxProblem extends Error {
  readonly line: number;
  constructor(line: number, message: string) {
    super(message);
    this.line = line;
  }
}

const isSpace = (char: string): boolean => char === ' ' || char === '\t' || char === '\r' || char === '\n';
/** Deeper than anyone writes by hand. */
const maxDepth = 16;

/** @throws SyntaxProblem */
export function parseNginx(text: string): Directive[] {
  const reader = new Reader(text);
  return reader.block(0);
}

type End = ';' | '{' | '}' | 'end';

class Reader {
  readonly #text: string;
  #at = 0;
  #line = 1;

  constructor(text: string) {
    this.#text = text;
  }

  block(depth: number, opened = 0): Directive[] {
    const directives: Directive[] = [];
    for (;;) {
      const { words, line, end } = this.#words();
      const [name, ...args] = words;
      if (end === 'end') {
        if (name !== undefined) throw new SyntaxProblem(line, `\`${name}\` does not end with \`;\``);
        if (depth > 0) throw new SyntaxProblem(opened, 'the `{` of this line is never closed');
        return directives;
      }
      if (end === '}') {
        if (name !== undefined) throw new SyntaxProblem(line, `\`${name}\` does not end with \`;\``);
        if (depth === 0) throw new SyntaxProblem(this.#line, 'this `}` closes nothing');
        return directives;
      }
      if (name === undefined) throw new SyntaxProblem(this.#line, `\`${end}\` without a directive`);
      if (end === ';') directives.push({ name, args, line });
      else if (name.endsWith('_by_lua_block')) directives.push({ name, args, line, lua: this.#lua() });
      else {
        if (depth + 1 > maxDepth) throw new SyntaxProblem(line, 'blocks are nested too deeply');
        directives.push({ name, args, line, block: this.block(depth + 1, this.#line) });
      }
    }
  }

  /** Words up to `;`, `{`, `}` or the end of the text. A `}` is an end only where a word could begin. */
  #words(): { words: string[]; line: number; end: End } {
    const words: string[] = [];
    let line = this.#line;
    /** Behind a quoted word: what may follow is limited. */
    let needsSpace = false;
    for (; this.#at < this.#text.length; this.#at++) {
      const char = this.#text[this.#at]!;
      if (needsSpace && !isSpace(char) && char !== ';' && char !== '{' && char !== ')')
        throw new SyntaxProblem(this.#line, `unexpected \`${char}\` behind a closing quote`);
      needsSpace = false;
      if (char === '\n') this.#line++;
      if (isSpace(char)) continue;
      if (char === '#') {
        this.#skipComment();
        continue;
      }
      if (words.length === 0) line = this.#line;
      if (char === ';' || char === '{' || char === '}') {
        this.#at++;
        return { words, line, end: char };
      }
      if (char === '"' || char === "'") {
        words.push(this.#quoted(char));
        needsSpace = true;
      } else words.push(this.#bare());
    }
    return { words, line, end: 'end' };
  }

  /** Ends before the line's end, which counts. */
  #skipComment(): void {
    const end = this.#text.indexOf('\n', this.#at);
    this.#at = (end < 0 ? this.#text.length : end) - 1;
  }

  /** Ends on the closing quote. */
  #quoted(quote: string): string {
    const opened = this.#line;
    const from = this.#at + 1;
    for (let at = from; at < this.#text.length; at++) {
      const char = this.#text[at]!;
      if (char === '\n') this.#line++;
      if (char === '\\') {
        if (this.#text[at + 1] === '\n') this.#line++;
        at++;
      } else if (char === quote) {
        this.#at = at;
        return unescape(this.#text.slice(from, at));
      }
    }
    throw new SyntaxProblem(opened, `the quote \`${quote}\` of this line is never closed`);
  }

  /** A word without quotes; ends on its last character. Quotes, `#` and `}` inside of it are part of it. */
  #bare(): string {
    const from = this.#at;
    let at = from;
    let variable = false;
    for (; at < this.#text.length; at++) {
      const char = this.#text[at]!;
      if (char === '{' && variable) continue;
      if (isSpace(char) || char === ';' || char === '{') break;
      variable = char === '$';
      if (char === '\\') {
        if (this.#text[at + 1] === '\n') this.#line++;
        at++;
      }
    }
    at = Math.min(at, this.#text.length);
    this.#at = at - 1;
    return unescape(this.#text.slice(from, at));
  }

  /** The code up to the brace that closes the block. */
  #lua(): string {
    const end = luaEnd(this.#text, this.#at);
    if (end === null) throw new SyntaxProblem(this.#line, 'the Lua block of this line is never closed');
    const code = this.#text.slice(this.#at, end);
    this.#line += code.split('\n').length - 1;
    this.#at = end + 1;
    return code;
  }
}

/** `\"`, `\'` and `\\` are the character; `\t`, `\r`, `\n` what they are in C; any other backslash stays. */
function unescape(word: string): string {
  const meant: Record<string, string> = { t: '\t', r: '\r', n: '\n' };
  return word.replace(/\\(["'\\trn])/g, (_, char: string) => meant[char] ?? char);
}
