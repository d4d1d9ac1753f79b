import type { Socket } from 'node:net';

/** Up to this size bytes are appended to the text that waits, so that head and body leave in one system call. */
const small = 8 * 1024;

/**
 * What is to be written to a socket, gathered while one event is handled. Text is latin1. `flush` ends the event.
 */
export class Output {
  #text = '';
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  text(text: string): void {
    this.#text += text;
  }

  /** @param bytes valid until it returns: what the system does not take at once is copied */
  bytes(bytes: Buffer): void {
    if (bytes.length <= small) {
      this.#text += bytes.toString('latin1');
      return;
    }
    this.flush();
    if (this.#socket.writable) this.#socket.write(Buffer.from(bytes));
  }

  /** Content in the chunked coding. Empty content is left out, since an empty chunk ends a body. */
  chunk(content: Buffer): void {
    if (content.length === 0) return;
    this.#text += `${content.length.toString(16)}\r\n`;
    this.bytes(content);
    this.#text += '\r\n';
  }

  lastChunk(trailers: string): void {
    this.#text += `0\r\n${trailers}\r\n`;
  }

  /** Hands everything to the socket. False: wait for its `drain` before producing more. */
  flush(): boolean {
    if (this.#text !== '') {
      const text = this.#text;
      this.#text = '';
      if (this.#socket.writable) this.#socket.write(text, 'latin1');
    }
    return !this.#socket.writableNeedDrain;
  }
}
