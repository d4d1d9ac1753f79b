/** Bodies of HTTP/1.1 messages: where they end (RFC 9112, 6) and the chunked coding (7.1), read strictly. */
import { HttpError, areFieldLines, maxHead } from './grammar.ts';

/** Bytes that a body has, or one of the two below. */
export type Framing = number;
export const chunked: Framing = -1;
/** Responses only: the body ends with the connection. */
export const untilClose: Framing = -2;

/** A Content-Length's value. @throws HttpError 400 unless it is one plain decimal number */
export function parseLength(value: string): number {
  if (!/^[0-9]{1,15}$/.test(value)) throw new HttpError(400, 'Content-Length is not a number');
  return Number(value);
}

type State = 'size' | 'data' | 'dataEnd' | 'trailers' | 'done';

/** Takes a body's bytes as they arrive and gives its content out, without holding any of it. */
export class BodyDecoder {
  #state: State;
  #left: number;
  /** An incomplete size line or trailer section. */
  #line = '';
  readonly #framing: Framing;
  /** Field lines of a chunked body's trailer section. */
  trailers = '';

  constructor(framing: Framing) {
    this.#framing = framing;
    this.#left = framing > 0 ? framing : 0;
    this.#state = framing === chunked ? 'size' : framing === 0 ? 'done' : 'data';
  }

  get done(): boolean {
    return this.#state === 'done';
  }

  /**
   * Calls `give` with each piece of content.
   * @returns how many bytes belong to the body: fewer than `bytes` has only when it is done
   * @throws HttpError 400 for a malformed chunk
   */
  decode(bytes: Buffer, give: (content: Buffer) => void): number {
    if (this.#framing === untilClose) {
      give(bytes);
      return bytes.length;
    }
    let at = 0;
    while (at < bytes.length && this.#state !== 'done') {
      if (this.#state === 'data') at = this.#data(bytes, at, give);
      else at = this.#textLine(bytes, at);
    }
    return at;
  }

  #data(bytes: Buffer, at: number, give: (content: Buffer) => void): number {
    const end = Math.min(bytes.length, at + this.#left);
    this.#left -= end - at;
    if (this.#left === 0) this.#state = this.#framing === chunked ? 'dataEnd' : 'done';
    give(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end));
    return end;
  }

  /** Size lines, the CRLF behind a chunk, and trailer lines. */
  #textLine(bytes: Buffer, at: number): number {
    const newline = bytes.indexOf(10, at);
    const end = newline === -1 ? bytes.length : newline + 1;
    this.#line += bytes.toString('latin1', at, end);
    if (this.#line.length > (this.#state === 'trailers' ? maxHead : maxSizeLine)) {
      throw new HttpError(400, 'a chunk header or trailer section is too long');
    }
    if (newline !== -1) this.#endLine(this.#line);
    return end;
  }

  #endLine(line: string): void {
    this.#line = '';
    if (this.#state === 'size') {
      const size = sizeLine.exec(line);
      if (!size) throw new HttpError(400, 'a chunk size is malformed');
      this.#left = Number.parseInt(size[1] ?? '', 16);
      this.#state = this.#left === 0 ? 'trailers' : 'data';
    } else if (this.#state === 'dataEnd') {
      if (line !== '\r\n') throw new HttpError(400, 'a chunk is longer than its size');
      this.#state = 'size';
    } else if (line === '\r\n') {
      this.#state = 'done';
    } else {
      if (!areFieldLines(line)) throw new HttpError(400, 'a trailer line is malformed');
      this.trailers += line;
      if (this.trailers.length > maxHead) throw new HttpError(400, 'the trailer section is too long');
    }
  }
}

const maxSizeLine = 1024;
/** Up to 2^48 - 1, and extensions, which are dropped. */
const sizeLine = /^([0-9A-Fa-f]{1,12})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n$/;
