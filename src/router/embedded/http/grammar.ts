/**
 * The heads of HTTP/1.1 messages (RFC 9112), strictly: CRLF line ends only, no folded lines, no blank before a colon, no
 * control characters. Text is latin1, so that bytes pass unchanged. Whatever two parsers could read differently is
 * refused, since a proxy that lets it pass is how requests are smuggled.
 */

/** A message that breaks the grammar or a limit. `status` is what a client is answered; for a response it means 502. */
export class HttpError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'HttpError';
    this.status = status;
  }
}

export interface RequestHead {
  method: string;
  target: string;
  /** The minor version: HTTP/1.0 or 1.1. */
  minor: 0 | 1;
  /** Field lines with their CRLF. */
  fields: string;
}

export interface ResponseHead {
  status: number;
  reason: string;
  minor: 0 | 1;
  fields: string;
}

const token = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
const methodForm = new RegExp(`^${token}$`);
const targetForm = /^[\x21-\x7e\x80-\xff]+$/;
const versionForm = /^HTTP\/[0-9]\.[0-9]$/;
const statusLine = /^HTTP\/1\.([01]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?$/;
const fieldLines = new RegExp(`^(?:${token}:[\\t\\x20-\\x7e\\x80-\\xff]*\\r\\n)*$`);

/** Whether text is zero or more well-formed field lines, each ended by CRLF. Linear in its length. */
export function areFieldLines(text: string): boolean {
  return fieldLines.test(text);
}

/** @param text a request's head up to and with the CRLF of its last field line. @throws HttpError 400, 414, 505 */
export function parseRequestHead(text: string): RequestHead {
  const end = text.indexOf('\r\n');
  const first = text.indexOf(' ');
  const last = text.lastIndexOf(' ', end);
  const method = text.slice(0, first);
  const target = text.slice(first + 1, last);
  const version = text.slice(last + 1, end);
  if (!methodForm.test(method) || !targetForm.test(target) || !versionForm.test(version)) {
    throw new HttpError(400, 'the request line is malformed');
  }
  if (!version.startsWith('HTTP/1.')) throw new HttpError(505, `${version} is not spoken here, HTTP/1.1 is`);
  if (target.length > maxTarget) throw new HttpError(414, `the request target is longer than ${maxTarget} bytes`);
  const fields = text.slice(end + 2);
  if (!areFieldLines(fields)) throw new HttpError(400, 'a header line is malformed');
  // RFC 9110, 2.5: a higher minor version is read as the highest that is known.
  return { method, target, minor: version === 'HTTP/1.0' ? 0 : 1, fields };
}

/** @param text as for requests. @throws HttpError 502 */
export function parseResponseHead(text: string): ResponseHead {
  const end = text.indexOf('\r\n');
  const line = statusLine.exec(text.slice(0, end));
  if (!line) throw new HttpError(502, 'its status line is malformed');
  const fields = text.slice(end + 2);
  if (!areFieldLines(fields)) throw new HttpError(502, 'a header line is malformed');
  return { status: Number(line[2]), reason: line[3] ?? '', minor: line[1] === '0' ? 0 : 1, fields };
}

/** Field names with a meaning, recognised by length and first letter before a string is made of a name. */
export class FieldNames {
  readonly #names: ReadonlySet<string>;
  readonly #letters = new Int32Array(64);

  constructor(names: readonly string[]) {
    this.#names = new Set(names);
    for (const name of names) this.#letters[name.length]! |= letterBit(name.charCodeAt(0));
  }

  /**
   * Calls back for each field of one of these names, in lower case, with its value.
   *
   * A field that is spelt with `_` for `-` is left out without a call: CGI and WSGI read `X_Forwarded_For` as
   * `X-Forwarded-For`, so a client could say with it what only the router may say.
   * @param visit whether to keep the field
   * @returns the field lines that are kept, and all others
   */
  filter(fields: string, visit: (name: string, value: string) => boolean): string {
    let kept = '';
    let from = 0;
    for (let at = 0, next = 0; at < fields.length; at = next) {
      const end = fields.indexOf('\r\n', at);
      const colon = fields.indexOf(':', at);
      next = end + 2;
      if ((this.#letters[colon - at] ?? 0) & letterBit(fields.charCodeAt(at))) {
        const name = fields.slice(at, colon).toLowerCase();
        if (this.#names.has(name)) {
          if (visit(name, trimBlanks(fields, colon + 1, end))) continue;
        } else if (!this.#names.has(name.replaceAll('_', '-'))) continue;
        kept += fields.slice(from, at);
        from = next;
      }
    }
    return from === 0 ? fields : kept + fields.slice(from);
  }
}

const letterBit = (code: number): number => 1 << (code & 31);

/** Calls back for each field line: name in lower case, and the line with its CRLF. */
export function eachField(fields: string, visit: (name: string, line: string) => void): void {
  for (let at = 0; at < fields.length;) {
    const end = fields.indexOf('\r\n', at);
    const colon = fields.indexOf(':', at);
    visit(fields.slice(at, colon).toLowerCase(), fields.slice(at, end + 2));
    at = end + 2;
  }
}

/** Cuts blanks and tabs alone: `trim()` would also take bytes such as 0xA0, which other parsers keep. */
function trimBlanks(text: string, from: number, to: number): string {
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09;

/** The elements of a comma-separated field value, lower case, without empty ones. */
export function listElements(value: string): string[] {
  if (value === 'keep-alive' || value === 'close') return [value];
  return value
    .toLowerCase()
    .split(',')
    .map((element) => trimBlanks(element, 0, element.length))
    .filter((element) => element !== '');
}

/** Largest head (all lines), target and trailer section in bytes. */
export const maxHead = 32 * 1024;
const maxTarget = 16 * 1024;

const headEnd = Buffer.from('\r\n\r\n');

/** Collects the bytes of a head as they come in. */
export class HeadReader {
  #held: Buffer | null = null;
  #length = 0;

  /** Whether a head has begun. */
  get begun(): boolean {
    return this.#length > 0;
  }

  /**
   * Takes bytes up to the end of a head.
   * @returns the head's text with the CRLF of its last line and the bytes behind the head; null while it is incomplete
   * @throws HttpError 431 when it grows over 32 KiB
   */
  take(chunk: Buffer): { text: string; rest: Buffer | null } | null {
    if (this.#length === 0) {
      const end = chunk.indexOf(headEnd);
      if (end !== -1) return this.#split(chunk, end, chunk.length);
    }
    const searched = Math.max(0, this.#length - 3);
    this.#append(chunk);
    const held = this.#held!.subarray(0, this.#length);
    const end = held.indexOf(headEnd, searched);
    if (end === -1) {
      if (this.#length > maxHead) throw tooLarge();
      return null;
    }
    return this.#split(held, end, this.#length);
  }

  #split(bytes: Buffer, end: number, length: number): { text: string; rest: Buffer | null } {
    if (end > maxHead) throw tooLarge();
    this.#held = null;
    this.#length = 0;
    return {
      text: bytes.toString('latin1', 0, end + 2),
      rest: end + 4 < length ? bytes.subarray(end + 4, length) : null,
    };
  }

  /** Grows by doubling: a client that sends a byte at a time costs neither quadratic time nor a full buffer at once. */
  #append(chunk: Buffer): void {
    const needed = this.#length + chunk.length;
    if (!this.#held || this.#held.length < needed) {
      const grown = Buffer.allocUnsafeSlow(Math.max(1024, needed, (this.#held?.length ?? 0) * 2));
      this.#held?.copy(grown, 0, 0, this.#length);
      this.#held = grown;
    }
    chunk.copy(this.#held, this.#length);
    this.#length = needed;
  }
}

const tooLarge = (): HttpError => new HttpError(431, `the header is larger than ${maxHead} bytes`);
