/** From what a platform (or something in its place) answered to values and errors. */
import type { IncomingMessage } from 'node:http';
import { errnoOf, fromErrorBody, PaasError } from '../../shared/errors.ts';
import { ConnectionError } from './http.ts';

/** Reads a body to its end. Throws ConnectionError when it is cut short. */
export async function readBody(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of answer) chunks.push(chunk as Buffer);
  } catch (error) {
    throw new ConnectionError('the connection broke within the answer', true, error);
  }
  return Buffer.concat(chunks).toString('utf8');
}

export function isSuccess(answer: IncomingMessage): boolean {
  const status = answer.statusCode ?? 0;
  return status >= 200 && status < 300;
}

/** The value of a successful answer; undefined when it is empty. Throws `unavailable` when it is no JSON. */
export function parseAnswer(answer: IncomingMessage, text: string, url: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw notPaas(answer, url, cause);
  }
}

/** The error that an unsuccessful answer carries; one that no paas server wrote is `unavailable` and says so. */
export function answerError(answer: IncomingMessage, text: string, url: string): PaasError {
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    if (isErrorBody(error)) return fromErrorBody(error);
  } catch {
    // Not JSON: an error page of something in between.
  }
  return notPaas(answer, url);
}

/** Whether a value is an error as the API writes it. */
export function isErrorBody(value: unknown): value is Parameters<typeof fromErrorBody>[0] {
  if (typeof value !== 'object' || value === null) return false;
  const { code, message, hint, details } = value as Record<string, unknown>;
  if (typeof code !== 'string' || typeof message !== 'string') return false;
  if (hint !== undefined && typeof hint !== 'string') return false;
  return details === undefined || (typeof details === 'object' && details !== null);
}

function notPaas(answer: IncomingMessage, url: string, cause?: unknown): PaasError {
  const type = answer.headers['content-type'] ?? 'no content type';
  const message = `${url} does not answer as a paas platform does (HTTP ${answer.statusCode ?? 0}, ${type})`;
  const hint = 'Check the URL (`paas target`), and any proxy in between.';
  return new PaasError('unavailable', message, { hint, ...(cause === undefined ? {} : { cause }) });
}

/** A failed connection in the words of the table: nothing was changed, or nobody knows. */
export function connectionProblem(error: ConnectionError, url: string, isChange: boolean): PaasError {
  if (error.sent && isChange) {
    return new PaasError('outcome_unknown', `the connection to ${url} broke before the answer: ${error.message}`, {
      cause: error,
    });
  }
  const code = errnoOf(error.cause) ?? '';
  if (code.includes('CERT') || code.includes('SIGNATURE') || code === 'SELF_SIGNED_CERT_IN_CHAIN') {
    return new PaasError('unavailable', `the certificate of ${url} is not trusted: ${error.message}`, {
      hint: 'Give its authority with `paas login URL --ca FILE`.',
      cause: error,
    });
  }
  return new PaasError('unavailable', `the platform at ${url} does not answer: ${error.message}`, {
    hint: 'On this machine, `paas up` starts it; else check the URL with `paas target`.',
    cause: error,
  });
}
