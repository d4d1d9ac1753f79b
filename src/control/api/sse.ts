import { version } from '../../shared/version.ts';
import type { Call } from './define.ts';

/** A stream of server-sent events to one client. What a slow client has not read is bounded: it is cut off then. */
export interface Sse {
  send(event: string, data: unknown, id?: string): void;
  end(): void;
  /** Aborted when the client is gone. */
  closed: AbortSignal;
}

/** Clients take a longer silence for a dead connection. */
export const heartbeatMs = 10_000;
const maxBuffered = 16 << 20;

/** Takes the reply over from Fastify (`text/event-stream`). */
export function openSse(call: Pick<Call<unknown>, 'reply'>): Sse {
  const { raw } = call.reply.hijack();
  const closed = new AbortController();
  raw.writeHead(200, {
    'paas-version': version,
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    connection: 'keep-alive',
  });
  raw.write(': hello\n\n');
  const beat = setInterval(() => raw.write(': beat\n\n'), heartbeatMs);
  const stop = () => {
    clearInterval(beat);
    closed.abort();
  };
  raw.on('close', stop);
  raw.on('error', stop);
  return {
    closed: closed.signal,
    send(event, data, id) {
      if (closed.signal.aborted) return;
      raw.write(`event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`);
      if (raw.writableLength > maxBuffered) raw.destroy();
    },
    end() {
      clearInterval(beat);
      raw.end();
    },
  };
}

/** Something happened, or a time has passed: a wake-up that is not lost between two waits. */
export class Pulse {
  #pending = false;
  #resolve: (() => void) | null = null;
  readonly #abort = () => this.#resolve?.();

  beat(): void {
    this.#pending = true;
    this.#resolve?.();
  }

  /** Resolves at the next beat (or at once after one that nobody waited for), after `ms`, or when the signal aborts. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#pending && !signal.aborted) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        timer = setTimeout(resolve, ms);
        this.#resolve = resolve;
        signal.addEventListener('abort', this.#abort, { once: true });
      });
      clearTimeout(timer);
      signal.removeEventListener('abort', this.#abort);
      this.#resolve = null;
    }
    this.#pending = false;
  }
}
