import type { Http2Stream } from 'node:http2';
import type { MessageOutput } from '../http/ends.ts';
import { headerList } from './fields.ts';

/** Who owns a stream. */
export interface StreamWriter {
  /** The whole message has been handed over: the next flush ends it. */
  readonly whole: boolean;
  /**
   * Sends a head; `start` is its first line.
   * @param end nothing follows it
   * @returns the stream; null: there is none any more
   */
  open(start: string, lines: string, end: boolean): Http2Stream | null;
}

const headEnd = '\r\n\r\n';

/** A message onto a stream of HTTP/2, written as one of HTTP/1.1. */
export class StreamOutput implements MessageOutput {
  readonly #writer: StreamWriter;
  #stream: Http2Stream | null = null;
  /** Waits for what follows, so that an empty message leaves as one frame. */
  #head: { start: string; lines: string } | null = null;
  #content: Buffer[] = [];
  #trailers = '';

  constructor(writer: StreamWriter) {
    this.#writer = writer;
  }

  text(text: string): void {
    const end = text.indexOf(headEnd);
    const first = text.indexOf('\r\n');
    this.#head = { start: text.slice(0, first), lines: text.slice(first + 2, end + 2) };
    if (end + headEnd.length < text.length) this.#content.push(Buffer.from(text.slice(end + headEnd.length), 'latin1'));
  }

  bytes(bytes: Buffer): void {
    if (bytes.length > 0) this.#content.push(Buffer.from(bytes));
  }

  chunk(content: Buffer): void {
    this.bytes(content);
  }

  lastChunk(trailers: string): void {
    this.#trailers = trailers;
  }

  flush(): boolean {
    const end = this.#writer.whole;
    const content = this.#content.length > 1 ? Buffer.concat(this.#content) : this.#content[0];
    this.#content = [];
    if (this.#head) {
      const { start, lines } = this.#head;
      this.#head = null;
      const alone = end && !content && this.#trailers === '';
      this.#stream = this.#writer.open(start, lines, alone);
      this.#stream?.once('wantTrailers', () => this.#sendTrailers());
      if (alone) return true;
    }
    const stream = this.#stream;
    if (!stream?.writable) return true;
    if (content) stream.write(content);
    if (end) stream.end();
    return !stream.writableNeedDrain;
  }

  #sendTrailers(): void {
    const stream = this.#stream;
    if (stream && !stream.destroyed && !stream.closed) stream.sendTrailers(headerList(this.#trailers).headers);
  }
}
