/** The CLI's side of the API: signed requests with retries that never act twice, streams, sessions. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { IncomingMessage } from 'node:http';
import { PaasError } from '../../shared/errors.ts';
import { newId } from '../../shared/ids.ts';
import { equalJitter } from '../../shared/jitter.ts';
import { version } from '../../shared/version.ts';
import { answerError, connectionProblem, isSuccess, parseAnswer, readBody } from './answers.ts';
import { Connection, ConnectionError, type Outgoing, type Platform, type Query } from './http.ts';
import { after } from './patience.ts';

/** Anything that parses an answer, such as a schema of shared/contracts. */
interface Schema<T> {
  parse(value: unknown): T;
}

export interface ClientRequest<T = unknown> {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** From `/v1/…` on; what comes from a user in it has to be encoded (`encodeURIComponent`). */
  path: string;
  query?: Query;
  /** Sent as JSON; a Buffer is sent as it is (`application/octet-stream`). */
  body?: unknown;
  /** Default: a new one for every change. null: none, where repeating is harmless by itself. */
  idempotencyKey?: string | null;
  signal?: AbortSignal;
  /** How long one answer may take; default 60 s. */
  timeoutMs?: number;
  /** How long to try again from when the connection broke; default 8 s. 0: not at all. */
  patienceMs?: number;
  schema?: Schema<T>;
}

const defaultTimeoutMs = 60_000;
const defaultPatienceMs = 8000;

export class Client {
  readonly connection: Connection;
  /** The server's version, once it has answered; it may differ from the CLI's own (`version`). */
  serverVersion: string | null = null;

  constructor(platform: Platform) {
    this.connection = new Connection(platform);
  }

  get url(): string {
    return this.connection.platform.url;
  }

  /** Both versions when they differ and the server has answered; else null. */
  get versionMismatch(): { own: string; server: string } | null {
    const server = this.serverVersion;
    return server === null || server === version ? null : { own: version, server };
  }

  /**
   * Makes a request and answers its parsed JSON (undefined for an empty answer).
   *
   * When the connection breaks, it is repeated for a while with the same Idempotency-Key. Throws what the server
   * answered; `unavailable` when nothing was changed; `outcome_unknown` when a change may have been made; `timeout`;
   * `interrupted` when the signal aborts.
   */
  async request<T = unknown>(request: ClientRequest<T>): Promise<T> {
    const isChange = request.method !== 'GET';
    const outgoing = toOutgoing(request, isChange);
    let deadline: number | null = null;
    let lastBreak: ConnectionError | null = null;
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#once(request, outgoing);
      } catch (error) {
        throwIfAborted(request.signal);
        const waitMs = equalJitter(Math.min(1000, 100 * 2 ** attempt));
        // From the first failure on: what was asked for may have taken long before.
        deadline ??= Date.now() + (request.patienceMs ?? defaultPatienceMs);
        const isOver = Date.now() + waitMs > deadline;
        if (error instanceof ConnectionError) {
          // One attempt that may have arrived makes the outcome unknown, whatever becomes of those after it.
          if (error.sent || !lastBreak) lastBreak = error;
          // A platform that was never reached is not there; one that went away is probably being restarted.
          const isThere = lastBreak.sent || this.serverVersion !== null;
          if (!isThere || isOver) throw connectionProblem(lastBreak, this.url, isChange);
        } else if (!mayComeThrough(error, lastBreak?.sent === true) || isOver) {
          throw error;
        }
        await sleep(waitMs, undefined, request.signal ? { signal: request.signal } : {}).catch(() => undefined);
        throwIfAborted(request.signal);
      }
    }
  }

  /** One attempt that resolves with the head of a successful answer, whose body is the caller's. */
  async open(outgoing: Outgoing): Promise<IncomingMessage> {
    const answer = await this.connection.send(outgoing);
    const server = answer.headers['paas-version'];
    if (typeof server === 'string') this.serverVersion = server;
    if (isSuccess(answer)) return answer;
    throw answerError(answer, await readBody(answer), this.url);
  }

  /** Lets go of idle connections. */
  close(): void {
    this.connection.close();
  }

  async #once<T>(request: ClientRequest<T>, outgoing: Outgoing): Promise<T> {
    const timeoutMs = request.timeoutMs ?? defaultTimeoutMs;
    const timeout = new AbortController();
    const callOff = after(timeoutMs, () => timeout.abort());
    const signal = request.signal ? AbortSignal.any([request.signal, timeout.signal]) : timeout.signal;
    try {
      const answer = await this.open({ ...outgoing, signal });
      const value = parseAnswer(answer, await readBody(answer), this.url);
      return request.schema ? parseBySchema(request, request.schema, value) : (value as T);
    } catch (error) {
      if (!timeout.signal.aborted || error instanceof PaasError) throw error;
      const what = `${request.method} ${request.path}`;
      throw new PaasError('timeout', `the platform did not answer ${what} within ${timeoutMs / 1000} s`, {
        cause: error,
      });
    } finally {
      callOff();
    }
  }
}

function toOutgoing(request: ClientRequest, isChange: boolean): Outgoing {
  const { method, path, query, body } = request;
  const headers: Record<string, string> = { Accept: 'application/json' };
  const key = request.idempotencyKey === undefined && isChange ? newId('idk') : request.idempotencyKey;
  if (typeof key === 'string') headers['Idempotency-Key'] = key;
  const outgoing: Outgoing = { method, path, headers, ...(query ? { query } : {}) };
  if (body === undefined) return outgoing;
  headers['Content-Type'] = Buffer.isBuffer(body) ? 'application/octet-stream' : 'application/json';
  return { ...outgoing, body: Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body)) };
}

/** Whether an answer says that the very same request may be answered otherwise in a moment. */
function mayComeThrough(error: unknown, isRepeated: boolean): boolean {
  if (!(error instanceof PaasError)) return false;
  // `locked` after a repetition: the first attempt is still being carried out, its answer will come.
  return error.code === 'unavailable' || (isRepeated && error.code === 'locked');
}

function parseBySchema<T>({ method, path }: ClientRequest<T>, schema: Schema<T>, value: unknown): T {
  try {
    return schema.parse(value);
  } catch (cause) {
    const what = `the platform's answer to ${method} ${path} does not have the shape that this CLI expects`;
    throw new PaasError('bad_request', what, { cause });
  }
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new PaasError('interrupted', 'Interrupted.', { hint: '', cause: signal.reason });
}
