/**
 * HTTP as drivers need it: one request, one bounded answer as text, and on failure the one fact that matters before a
 * create is repeated: whether the request may have reached the provider.
 */
import type { Dispatcher } from 'undici';
import { errnoOf } from '../shared/errors.ts';
import { isLoopbackHost } from './endpoint.ts';

export interface HttpRequest {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  url: string;
  headers: Record<string, string>;
  body?: string;
  /** For the whole exchange. */
  timeoutMs: number;
}

export interface HttpResponse {
  status: number;
  /** Lower-case names; of a repeated header the first value. */
  headers: Record<string, string>;
  body: string;
}

/** Sends one request, once. Rejects with TransportError, and only with that. */
export type Transport = (request: HttpRequest) => Promise<HttpResponse>;

export class TransportError extends Error {
  /** False: it surely never left this machine. True: it may have been carried out. */
  readonly sent: boolean;

  constructor(message: string, sent: boolean, cause?: unknown) {
    super(message, { cause });
    this.name = 'TransportError';
    this.sent = sent;
  }
}

const maxAnswerBytes = 8 * 1024 * 1024;
const connectTimeoutMs = 10_000;

const neverSent = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'EADDRNOTAVAIL',
  'UND_ERR_CONNECT_TIMEOUT',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

/** The transport of production, on undici (loaded at the first request: it costs 70 ms). */
export const undiciTransport: Transport = async (request) => {
  const { request: send } = await import('undici');
  const timeout = AbortSignal.timeout(request.timeoutMs);
  try {
    const answer = await send(request.url, {
      method: request.method,
      headers: request.headers,
      body: request.body ?? null,
      dispatcher: await dispatcherFor(request.url),
      signal: timeout,
    });
    return { status: answer.statusCode, headers: firstValues(answer.headers), body: await readBounded(answer.body) };
  } catch (error) {
    if (error instanceof TransportError) throw error;
    if (timeout.aborted) throw new TransportError(`no answer within ${request.timeoutMs} ms`, true, error);
    const code = errnoOf(error);
    const message = error instanceof Error && error.message !== '' ? error.message : (code ?? 'connection failed');
    throw new TransportError(message, !(code !== undefined && neverSent.has(code)), error);
  }
};

let direct: Dispatcher | undefined;
let proxied: Dispatcher | undefined;

/** Providers are reached through the proxy of the environment (HTTPS_PROXY, NO_PROXY), this machine never is. */
async function dispatcherFor(url: string): Promise<Dispatcher> {
  const { Agent, EnvHttpProxyAgent } = await import('undici');
  const options = { connect: { timeout: connectTimeoutMs } };
  if (isLoopbackHost(new URL(url).hostname)) return (direct ??= new Agent(options));
  return (proxied ??= new EnvHttpProxyAgent(options));
}

function firstValues(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const first = Array.isArray(value) ? value[0] : value;
    if (first !== undefined) result[name.toLowerCase()] = first;
  }
  return result;
}

async function readBounded(body: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of body) {
    size += part.length;
    if (size > maxAnswerBytes) throw new TransportError(`the answer is larger than ${maxAnswerBytes} bytes`, true);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
