/**
 * Signed HTTP requests from the agent to its control plane. One connection pool; the clock's offset is learned here and
 * used for the WebSocket too.
 */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { errorResponse } from '../shared/contracts/transfer.ts';
import { errnoOf, fromErrorBody, PaasError } from '../shared/errors.ts';
import { signRequest } from '../shared/signing/sign.ts';

export interface AgentKey {
  keyId: string;
  secret: string;
}

export interface ControlRequest {
  method: 'GET' | 'POST' | 'PUT';
  /** With its query, from the root: `/v1/agents/blobs`. */
  path: string;
  body?: Uint8Array | string;
  contentType?: string;
  signal?: AbortSignal;
}

export interface ControlHttp {
  readonly baseUrl: string;
  /** PEM of the CA to trust besides the public ones. */
  readonly ca: string | undefined;
  /** Signature headers for a request that is sent elsewhere (the WebSocket's upgrade). */
  sign(method: string, url: string): Record<string, string>;
  /** Takes the clock's offset from a response's Date header. True when it changed by more than a second. */
  learnClock(dateHeader: string | undefined): boolean;
  setKey(key: AgentKey): void;
  /** The answer once its status is 2xx; the caller reads its body. Throws the server's error as a PaasError. */
  open(request: ControlRequest): Promise<IncomingMessage>;
  /** Sends JSON (or nothing) and reads a JSON answer of at most 64 MiB. */
  json(method: ControlRequest['method'], path: string, body?: unknown, signal?: AbortSignal): Promise<unknown>;
  close(): void;
}

/** A silent connection is given up after this time. */
const idleTimeoutMs = 60_000;
const maxJson = 64 << 20;

export function createControlHttp(baseUrl: string, ca?: string): ControlHttp {
  const base = new URL(baseUrl);
  const tls = base.protocol === 'https:';
  const pool = tls
    ? new HttpsAgent({ keepAlive: true, maxSockets: 8 })
    : new HttpAgent({ keepAlive: true, maxSockets: 8 });
  let key: AgentKey | undefined;
  let offsetMs = 0;

  const sign = (method: string, url: string, headers: Record<string, string> = {}, body?: Uint8Array | string) => {
    if (!key) return {};
    const request = { method, url, headers, ...(body === undefined ? {} : { body }) };
    return signRequest(request, key, { now: Date.now() + offsetMs });
  };

  const attempt = (wanted: ControlRequest): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const url = new URL(wanted.path, base);
      const headers: Record<string, string> = {};
      if (wanted.body !== undefined) {
        headers['content-type'] = wanted.contentType ?? 'application/json';
        headers['content-length'] = String(Buffer.byteLength(wanted.body));
      }
      Object.assign(headers, sign(wanted.method, url.href, headers, wanted.body));
      const options = { method: wanted.method, headers, agent: pool, ...(ca === undefined ? {} : { ca }) };
      const request = (tls ? httpsRequest : httpRequest)(url, options, (response) => {
        // Until the caller listens: a connection that breaks in between must not end the process.
        response.on('error', () => undefined);
        resolve(response);
      });
      const abort = () =>
        request.destroy(new PaasError('interrupted', `${wanted.method} ${wanted.path} was cancelled`));
      wanted.signal?.addEventListener('abort', abort, { once: true });
      request.once('close', () => wanted.signal?.removeEventListener('abort', abort));
      request.setTimeout(idleTimeoutMs, () =>
        request.destroy(
          new PaasError(
            'timeout',
            `${base.host} sent nothing for ${idleTimeoutMs / 1000} s (${wanted.method} ${wanted.path})`,
          ),
        ),
      );
      request.once('error', (cause) => reject(unreachable(base, request.reusedSocket, cause)));
      if (wanted.signal?.aborted) abort();
      else request.end(wanted.body);
    });

  const learnClock = (dateHeader: string | undefined): boolean => {
    const serverTime = Date.parse(dateHeader ?? '');
    if (Number.isNaN(serverTime)) return false;
    const before = offsetMs;
    offsetMs = serverTime - Date.now();
    return Math.abs(offsetMs - before) > 1000;
  };

  const open = async (wanted: ControlRequest): Promise<IncomingMessage> => {
    let response: IncomingMessage;
    try {
      response = await attempt(wanted);
    } catch (error) {
      // The server closed a pooled connection just as it was taken again: nothing was processed.
      if (!(error instanceof PaasError && error.details['reused'] === true)) throw error;
      response = await attempt(wanted);
    }
    let failure = await failureOf(response);
    if (failure?.code === 'clock_skew' && learnClock(response.headers.date)) {
      response = await attempt(wanted);
      failure = await failureOf(response);
    }
    if (failure) throw failure;
    return response;
  };

  return {
    baseUrl,
    ca,
    sign: (method, url) => sign(method, url),
    learnClock,
    setKey(given) {
      key = given;
    },
    open,
    async json(method, path, body, signal) {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const response = await open({
        method,
        path,
        ...(text === undefined ? {} : { body: text }),
        ...(signal ? { signal } : {}),
      });
      return parseJson(await readAll(response, maxJson), path);
    },
    close: () => pool.destroy(),
  };
}

/** A response's whole body. Throws `too_large` beyond `limit` bytes, `unavailable` when the connection breaks. */
export async function readAll(response: IncomingMessage, limit: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > limit) throw new PaasError('too_large', `the control plane's answer exceeds ${limit} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof PaasError) throw error;
    throw new PaasError('unavailable', 'the connection broke in the middle of an answer', { cause: error });
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The error that an answer stands for, or undefined when its status is 2xx (its body is then still unread). */
export async function failureOf(response: IncomingMessage): Promise<PaasError | undefined> {
  const status = response.statusCode ?? 0;
  if (status >= 200 && status < 300) return undefined;
  const text = await readAll(response, 1 << 20);
  try {
    return fromErrorBody(errorResponse.parse(JSON.parse(text)).error);
  } catch {
    // Not our server, or a proxy before it: its text is no JSON of ours.
    return new PaasError('unavailable', `the control plane answered HTTP ${status}: ${text.slice(0, 200)}`);
  }
}

function parseJson(text: string, path: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch (cause) {
    throw new PaasError('bad_request', `the control plane's answer to ${path} is not JSON`, { cause });
  }
}

function unreachable(base: URL, reusedSocket: boolean, cause: Error): PaasError {
  if (cause instanceof PaasError) return cause;
  const code = errnoOf(cause);
  const reused = reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE');
  return new PaasError('unavailable', `cannot reach the control plane at ${base.host}: ${cause.message}`, {
    cause,
    details: reused ? { reused } : {},
  });
}
