/** Why a certificate authority does not give a certificate, in its own words (RFC 8555, 6.7; RFC 7807). */
import * as z from 'zod/mini';

const prefix = 'urn:ietf:params:acme:error:';

const problem = z.object({
  type: z.optional(z.string()),
  detail: z.optional(z.string()),
  subproblems: z.optional(z.array(z.object({ detail: z.optional(z.string()) }))),
});

export class AuthorityError extends Error {
  /** `rateLimited`, `dns`, `connection`, …; null where the authority gave none. */
  readonly type: string | null;
  /** How long it wants to be left alone, in ms. */
  readonly retryAfterMs: number;

  constructor(message: string, options: { type?: string | null; retryAfterMs?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'AuthorityError';
    this.type = options.type ?? null;
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }
}

/** An answer of 400 and above. @param host the authority's */
export function problemOf(
  host: string,
  status: number,
  headers: Record<string, string | string[] | undefined>,
  body: string,
): AuthorityError {
  const error = described(host, parseJson(body), `it answered with status ${status}`);
  const asked = readRetryAfter(headers['retry-after'], Date.now());
  // Limits of rate that name no time are by the hour or longer.
  const retryAfterMs = asked > 0 ? asked : error.type === 'rateLimited' ? 3_600_000 : 0;
  return new AuthorityError(error.message, { type: error.type, retryAfterMs });
}

/** A problem document inside of an order or a challenge. @param otherwise what to say where there is none */
export function described(host: string, document: unknown, otherwise: string): AuthorityError {
  const parsed = problem.safeParse(document);
  const { type = '', detail, subproblems = [] } = parsed.success ? parsed.data : {};
  const name = type.startsWith(prefix) ? type.slice(prefix.length) : null;
  const words = [detail, ...subproblems.map((sub) => sub.detail)].filter((text) => text !== undefined && text !== '');
  const said = [...new Set(words)].join('; ') || name || otherwise;
  // It is printed on one line of a terminal.
  const text = said.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ').slice(0, 1000);
  return new AuthorityError(`${host} says: ${text}`, { type: name });
}

/** Seconds, or a date (RFC 9110, 10.2.3), in ms from now. */
export function readRetryAfter(value: string | string[] | undefined, now: number): number {
  const text = Array.isArray(value) ? value[0] : value;
  if (text === undefined) return 0;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
