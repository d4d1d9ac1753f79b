/** Server-sent events (WHATWG HTML, 9.2.6): bytes in, events out. */

export interface ServerEvent {
  /** `message` where the stream names none. */
  event: string;
  data: string;
  /** The last id that the stream gave. */
  id: string;
}

export class EventParser {
  /** The id to resume from. */
  lastId = '';
  /** What the server asked to wait before reconnecting, in milliseconds. */
  retryMs: number | null = null;
  readonly #decoder = new TextDecoder();
  #rest = '';
  #event = '';
  #data: string[] = [];

  /** The events that this chunk completes. */
  push(chunk: Uint8Array): ServerEvent[] {
    const events: ServerEvent[] = [];
    const text = this.#rest + this.#decoder.decode(chunk, { stream: true });
    // A carriage return at the end may be half of a line end.
    const whole = text.endsWith('\r') ? text.length - 1 : text.length;
    const lines = text.slice(0, whole).split(/\r\n|\n|\r/);
    this.#rest = lines.pop()! + text.slice(whole);
    for (const line of lines) {
      const event = this.#line(line);
      if (event) events.push(event);
    }
    return events;
  }

  /** Forgets what an ended connection left unfinished. */
  reset(): void {
    this.#rest = this.#event = '';
    this.#data = [];
  }

  #line(line: string): ServerEvent | null {
    if (line === '') return this.#dispatch();
    const colon = line.indexOf(':');
    if (colon === 0) return null;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'event') this.#event = value;
    else if (field === 'data') this.#data.push(value);
    else if (field === 'id' && !value.includes('\0')) this.lastId = value;
    else if (field === 'retry' && /^\d{1,7}$/.test(value)) this.retryMs = Number(value);
    return null;
  }

  #dispatch(): ServerEvent | null {
    const found =
      this.#data.length > 0 ? { event: this.#event || 'message', data: this.#data.join('\n'), id: this.lastId } : null;
    this.#event = '';
    this.#data = [];
    return found;
  }
}
