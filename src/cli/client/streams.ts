/**
 * Streams that survive a restart of the control plane: they reconnect with growing, jittered waits and go on where they
 * were.
 */
import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { fromErrorBody, PaasError } from '../../shared/errors.ts';
import { equalJitter } from '../../shared/jitter.ts';
import { connectionProblem, isErrorBody } from './answers.ts';
import { throwIfAborted, type Client } from './client.ts';
import { ConnectionError, type Query } from './http.ts';
import { after } from './patience.ts';
import { EventParser, type ServerEvent } from './sse.ts';

export interface StreamOptions {
  query?: Query;
  signal?: AbortSignal;
  /** How long to try to reconnect before giving up with `unavailable`; default 60 s. */
  patienceMs?: number;
  /** How long a silence is borne, also before the answer begins; default 45 s. */
  maxSilenceMs?: number;
  /** Told when the connection broke and is tried again. */
  onReconnect?: (reason: string) => void;
}

export interface EventStreamOptions extends StreamOptions {
  lastEventId?: string;
  /** The first connection is tried again as later ones are: where what the stream is about has begun already. */
  hasBegun?: boolean;
}

/** The server sends a comment or an empty line every 10 s: so long a silence means that the connection is dead. */
const defaultSilenceMs = 45_000;

/**
 * Server-sent events of a path. Ends after `event: end` (which it hands out). The first connection fails like a
 * request, unless `hasBegun`; later ones are tried again. Throws `interrupted` when the signal aborts.
 */
export async function* streamEvents(
  client: Client,
  path: string,
  options: EventStreamOptions = {},
): AsyncGenerator<ServerEvent> {
  const parser = new EventParser();
  parser.lastId = options.lastEventId ?? '';
  const connect = (signal: AbortSignal): Promise<IncomingMessage> => {
    parser.reset();
    const headers: Record<string, string> = { Accept: 'text/event-stream' };
    if (parser.lastId !== '') headers['Last-Event-ID'] = parser.lastId;
    return client.open({ method: 'GET', path, headers, signal, ...(options.query ? { query: options.query } : {}) });
  };
  const read = (chunk: Uint8Array): ServerEvent[] => parser.push(chunk);
  for await (const event of reconnecting(client, connect, read, options, () => parser.retryMs)) {
    yield event;
    if (event.event === 'end') return;
  }
}

/**
 * Lines of an NDJSON path (logs), as text, in batches. With `follow` it reconnects, sends the last cursor back and
 * leaves out what was handed out before; without, it ends with the answer. Throws an error that the stream carries;
 * with `follow`, `unavailable` is tried again like a broken connection.
 */
export async function* streamLines(
  client: Client,
  path: string,
  options: StreamOptions & { follow?: boolean } = {},
): AsyncGenerator<string[]> {
  let cursor: string | undefined;
  let rest = '';
  let decoder = new TextDecoder();
  const seen = new RecentLines();
  const connect = (signal: AbortSignal): Promise<IncomingMessage> => {
    rest = '';
    decoder = new TextDecoder();
    seen.reconnected();
    const query = { ...options.query, ...(options.follow ? { follow: 1 } : {}), cursor };
    return client.open({ method: 'GET', path, headers: { Accept: 'application/x-ndjson' }, query, signal });
  };
  const read = function* (chunk: Uint8Array): Generator<string[]> {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop()!;
    const batch: string[] = [];
    let problem: PaasError | undefined;
    for (const line of lines) {
      const control = line.startsWith('{"cursor":') || line.startsWith('{"error":') ? parseControl(line) : null;
      // What came before it is handed out first.
      if (control?.error) problem = control.error;
      else if (control?.cursor !== undefined) {
        cursor = control.cursor;
        seen.covered(control.after ?? 0);
      } else if (line !== '' && !(options.follow && seen.has(line))) batch.push(line);
    }
    if (batch.length > 0) yield batch;
    if (problem) throw problem;
  };
  yield* options.follow ? reconnecting(client, connect, read, options) : onceThrough(client, connect, read, options);
}

function parseControl(line: string): { cursor?: string; after?: number; error?: PaasError } {
  const { cursor, after, error } = JSON.parse(line) as Record<string, unknown>;
  if (isErrorBody(error)) return { error: fromErrorBody(error) };
  return typeof cursor === 'string' ? { cursor, after: typeof after === 'number' ? after : 0 } : {};
}

/**
 * Lines handed out that lie after the last cursor: after a reconnection these come again. Compared without their time,
 * which may differ when the host had to send them again too.
 */
class RecentLines {
  static readonly #limit = 100_000;
  /** Of this connection, in order. */
  #lines: string[] = [];
  /** Of earlier connections. */
  #repeated = new Set<string>();

  /** Whether the line was handed out before the connection broke; remembers it. */
  has(line: string): boolean {
    const key = line.replace(/"ts":"[^"]*",?/, '');
    this.#lines.push(key);
    if (this.#lines.length >= 2 * RecentLines.#limit) this.#lines = this.#lines.slice(-RecentLines.#limit);
    return this.#repeated.delete(key);
  }
  reconnected(): void {
    for (const line of this.#lines) this.#repeated.add(line);
    this.#lines = [];
  }
  /** A cursor came. All but the last `after` lines of this connection lie before it, and never come again. */
  covered(after: number): void {
    this.#lines = after === 0 ? [] : this.#lines.slice(-after);
    this.#repeated.clear();
  }
}

type Connect = (signal: AbortSignal) => Promise<IncomingMessage>;
/** What bytes that came say. May throw an error that they carry. */
type Read<T> = (chunk: Uint8Array) => Iterable<T>;

/** One answer to its end. A connection that breaks within cannot be resumed. */
async function* onceThrough<T>(
  client: Client,
  connect: Connect,
  read: Read<T>,
  options: StreamOptions,
): AsyncGenerator<T> {
  const { signal = new AbortController().signal, maxSilenceMs = defaultSilenceMs } = options;
  try {
    const answer = await answerWithin(maxSilenceMs, connect, signal);
    for await (const chunk of bytesOf(answer, maxSilenceMs)) yield* read(chunk);
  } catch (error) {
    throw translate(error, client, signal);
  }
}

/** One connection after the other, until the reader stops. */
async function* reconnecting<T>(
  client: Client,
  connect: Connect,
  read: Read<T>,
  options: EventStreamOptions,
  retryMs: () => number | null = () => null,
): AsyncGenerator<T> {
  const { signal = new AbortController().signal, patienceMs = 60_000, maxSilenceMs = defaultSilenceMs } = options;
  let hasBegun = options.hasBegun === true;
  let failures = 0;
  let brokenAt = 0;
  for (;;) {
    let problem: PaasError;
    try {
      const answer = await answerWithin(maxSilenceMs, connect, signal);
      hasBegun = true;
      for await (const chunk of bytesOf(answer, maxSilenceMs)) {
        yield* read(chunk);
        failures = 0;
      }
      problem = new PaasError('unavailable', 'the platform closed the stream');
    } catch (error) {
      problem = translate(error, client, signal);
    }
    if (!hasBegun || problem.code !== 'unavailable') throw problem;
    if (failures === 0) brokenAt = Date.now();
    const waitMs = equalJitter(Math.max(retryMs() ?? 0, Math.min(5000, 100 * 2 ** failures)));
    failures += 1;
    if (Date.now() + waitMs - brokenAt > patienceMs) throw problem;
    options.onReconnect?.(problem.message);
    await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    throwIfAborted(signal);
  }
}

/** The head of an answer. Throws `unavailable` when it does not come in time. */
async function answerWithin(maxSilenceMs: number, connect: Connect, signal: AbortSignal): Promise<IncomingMessage> {
  const late = new AbortController();
  const callOff = after(maxSilenceMs, () => late.abort());
  try {
    return await connect(AbortSignal.any([signal, late.signal]));
  } catch (error) {
    if (!late.signal.aborted) throw error;
    throw new PaasError('unavailable', `the platform did not begin to answer within ${maxSilenceMs / 1000} s`, {
      hint: 'Try again; if it stays so, look at the platform and at any proxy before it.',
      cause: error,
    });
  } finally {
    callOff();
  }
}

/** The bytes of an answer. A reader who takes long is no silence. */
async function* bytesOf(answer: IncomingMessage, maxSilenceMs: number): AsyncGenerator<Uint8Array> {
  const cut = (): void => void answer.destroy(new Error(`nothing came for ${maxSilenceMs / 1000} s`));
  let callOff = after(maxSilenceMs, cut);
  try {
    for await (const chunk of answer) {
      callOff();
      yield chunk as Uint8Array;
      callOff = after(maxSilenceMs, cut);
    }
  } finally {
    callOff();
  }
}

function translate(error: unknown, client: Client, signal: AbortSignal): PaasError {
  throwIfAborted(signal);
  if (error instanceof PaasError) return error;
  if (error instanceof ConnectionError) return connectionProblem(error, client.url, false);
  return connectionProblem(new ConnectionError((error as Error).message, true, error), client.url, false);
}
