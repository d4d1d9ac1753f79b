/**
 * The part of Structured Field Values (RFC 9651) that message signatures and digests use: dictionaries of inner lists
 * and items, with strings, tokens, integers, booleans and byte sequences. Stricter than the RFC: a key that comes
 * twice is refused, since two readers might choose differently.
 */

export class Token {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}
export type BareItem = string | number | boolean | Uint8Array | Token;
export type Parameters = Map<string, BareItem>;
export interface Item {
  value: BareItem;
  parameters: Parameters;
}
export interface InnerList {
  items: Item[];
  parameters: Parameters;
}
export type Member = Item | InnerList;

/** Thrown for text that is not a structured field; the message says where. */
export class FieldSyntaxError extends Error {}

const key = /[a-z*][a-z0-9_.*-]*/y;
const integer = /-?[0-9]{1,15}(?![0-9.])/y;
const string = /"((?:[ !#-[\]-~]|\\["\\])*)"/y;
const token = /[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*/y;
const bytes = /:((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?):/y;
const boolean = /\?([01])/y;
const spaces = / */y;
const optionalWhitespace = /[ \t]*/y;

/** Parses a dictionary field (RFC 9651, 4.2.2). Throws FieldSyntaxError. */
export function parseDictionary(text: string): Map<string, Member> {
  const reader = new Reader(text);
  const members = new Map<string, Member>();
  reader.take(spaces);
  while (!reader.atEnd()) {
    const name = reader.need(key, 'a key')[0];
    if (members.has(name)) throw new FieldSyntaxError(`the key ${name} comes twice`);
    members.set(name, reader.accept('=') ? reader.member() : { value: true, parameters: reader.parameters() });
    reader.take(optionalWhitespace);
    if (reader.atEnd()) break;
    if (!reader.accept(',')) reader.fail('a comma');
    reader.take(optionalWhitespace);
    if (reader.atEnd()) reader.fail('a member after the comma');
  }
  return members;
}

class Reader {
  readonly #text: string;
  #at = 0;
  constructor(text: string) {
    this.#text = text;
  }

  atEnd(): boolean {
    return this.#at >= this.#text.length;
  }
  fail(expected: string): never {
    throw new FieldSyntaxError(`expected ${expected} at position ${this.#at}`);
  }
  take(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found) this.#at = pattern.lastIndex;
    return found;
  }
  need(pattern: RegExp, what: string): RegExpExecArray {
    return this.take(pattern) ?? this.fail(what);
  }
  accept(char: string): boolean {
    if (this.#text[this.#at] !== char) return false;
    this.#at += 1;
    return true;
  }

  member(): Member {
    if (!this.accept('(')) return this.item();
    const items: Item[] = [];
    for (;;) {
      const gap = this.need(spaces, 'a space')[0];
      if (this.accept(')')) return { items, parameters: this.parameters() };
      if (items.length > 0 && gap === '') this.fail('a space or )');
      items.push(this.item());
    }
  }
  item(): Item {
    return { value: this.bare(), parameters: this.parameters() };
  }
  parameters(): Parameters {
    const parameters: Parameters = new Map();
    while (this.accept(';')) {
      this.take(spaces);
      const name = this.need(key, 'a parameter name')[0];
      if (parameters.has(name)) throw new FieldSyntaxError(`the parameter ${name} comes twice`);
      parameters.set(name, this.accept('=') ? this.bare() : true);
    }
    return parameters;
  }
  bare(): BareItem {
    const text = this.take(string);
    if (text) return text[1]!.replace(/\\(["\\])/g, '$1');
    const number = this.take(integer);
    if (number) return Number(number[0]);
    const encoded = this.take(bytes);
    if (encoded) return Buffer.from(encoded[1]!, 'base64');
    const flag = this.take(boolean);
    if (flag) return flag[1] === '1';
    const word = this.take(token);
    if (word) return new Token(word[0]);
    return this.fail('a value');
  }
}

/** An inner list with its parameters in canonical form (RFC 9651, 4.1.1.1). */
export function serializeInnerList(list: InnerList): string {
  const items = list.items.map((item) => serializeBare(item.value) + serializeParameters(item.parameters));
  return `(${items.join(' ')})${serializeParameters(list.parameters)}`;
}

function serializeParameters(parameters: Parameters): string {
  let text = '';
  for (const [name, value] of parameters) text += value === true ? `;${name}` : `;${name}=${serializeBare(value)}`;
  return text;
}

/** One value in canonical form. Throws FieldSyntaxError for a string with characters that cannot be carried. */
export function serializeBare(value: BareItem): string {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'boolean') return value ? '?1' : '?0';
  if (value instanceof Token) return value.text;
  if (typeof value !== 'string') return `:${Buffer.from(value).toString('base64')}:`;
  if (!/^[ -~]*$/.test(value)) throw new FieldSyntaxError('a string may hold printable ASCII only');
  return `"${value.replace(/["\\]/g, '\\$&')}"`;
}
