/** Content-Digest (RFC 9530): the body's hash as a header, so that a signature over headers covers the body. */
import { createHash, timingSafeEqual, type Hash } from 'node:crypto';
import { PaasError } from '../errors.ts';
import { headerValue, type Headers } from './base.ts';
import { FieldSyntaxError, parseDictionary, serializeBare } from './fields.ts';

/** Algorithms that may vouch for a body; others in the header (md5, …) are passed over, as RFC 9530 wants. */
const algorithms = new Map([
  ['sha-256', 'sha256'],
  ['sha-512', 'sha512'],
]);

/** The header's value for a body held in memory. */
export function contentDigest(body: Uint8Array | string): string {
  return contentDigestOf(createHash('sha256').update(body).digest());
}

/** The header's value for a body whose SHA-256 is known already (32 bytes). */
export function contentDigestOf(sha256: Uint8Array): string {
  return `sha-256=${serializeBare(sha256)}`;
}

export interface ContentDigestVerifier {
  update(chunk: Uint8Array | string): void;
  /** Call at the body's end. Throws `bad_request` when what came is not what was signed. */
  finish(): void;
}

/**
 * Checks a body while it streams past. Throws `bad_request` at once when the Content-Digest header is missing, cannot
 * be read or names no algorithm that is known. Every known algorithm that the header names must agree.
 */
export function createContentDigestVerifier(headers: Headers): ContentDigestVerifier {
  const checks: { name: string; hash: Hash; expected: Uint8Array }[] = [];
  for (const [name, expected] of expectedDigests(headers)) {
    checks.push({ name, hash: createHash(algorithms.get(name)!), expected });
  }
  return {
    update: (chunk) => {
      for (const check of checks) check.hash.update(chunk);
    },
    finish: () => {
      for (const check of checks) compare(check.name, check.hash.digest(), check.expected);
    },
  };
}

/**
 * Compares the header with the SHA-256 of the body (32 bytes, or lower-case hex) computed elsewhere. Throws
 * `bad_request` when they differ or the header has no sha-256.
 */
export function checkContentDigest(headers: Headers, sha256: Uint8Array | string): void {
  const expected = expectedDigests(headers).get('sha-256');
  if (!expected) throw new PaasError('bad_request', 'the Content-Digest header has no sha-256');
  compare('sha-256', typeof sha256 === 'string' ? Buffer.from(sha256, 'hex') : sha256, expected);
}

function compare(name: string, actual: Uint8Array, expected: Uint8Array): void {
  if (actual.length === expected.length && timingSafeEqual(actual, expected)) return;
  throw new PaasError('bad_request', `the body does not match its Content-Digest (${name})`, {
    hint: 'The body was changed or cut on its way: send it again.',
  });
}

function expectedDigests(headers: Headers): Map<string, Uint8Array> {
  const text = headerValue(headers, 'content-digest');
  if (text === undefined) throw new PaasError('bad_request', 'the request has a body but no Content-Digest header');
  const found = new Map<string, Uint8Array>();
  try {
    for (const [name, member] of parseDictionary(text)) {
      if (!algorithms.has(name)) continue;
      if (!('value' in member) || !(member.value instanceof Uint8Array)) {
        throw new FieldSyntaxError(`${name} is not a byte sequence`);
      }
      found.set(name, member.value);
    }
  } catch (error) {
    if (!(error instanceof FieldSyntaxError)) throw error;
    throw new PaasError('bad_request', `the Content-Digest header cannot be read: ${error.message}`, { cause: error });
  }
  if (found.size === 0) throw new PaasError('bad_request', 'the Content-Digest header has neither sha-256 nor sha-512');
  return found;
}
