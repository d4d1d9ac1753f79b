/** Signing a request: RFC 9421 with hmac-sha256, and RFC 9530 for the body. */
import { randomBytes } from 'node:crypto';
import { headerValue, requiredComponents, signatureBase, signBase, type Headers } from './base.ts';
import { contentDigest } from './digest.ts';
import { serializeBare, serializeInnerList, type InnerList, type Parameters } from './fields.ts';

export const signatureTag = 'paas';
export const signatureAlgorithm = 'hmac-sha256';

/** Headers that are signed where the request has them; the verifier insists on it. */
export const coveredHeaders = ['content-digest', 'content-type', 'idempotency-key'] as const;

export interface SigningKey {
  keyId: string;
  secret: string | Uint8Array;
}

export interface RequestToSign {
  method: string;
  /** Absolute (http, https, ws or wss), exactly as it will be sent. */
  url: string;
  /** Those the caller sends. A Content-Digest among them is signed as it is (a streamed body with a known hash). */
  headers: Headers;
  body?: Uint8Array | string;
}

export interface SignOptions {
  /** Milliseconds since 1970. */
  now?: number;
  nonce?: string;
  expiresInS?: number;
}

/** Methods whose body is always signed, even when it is empty. */
export function alwaysHasBody(method: string): boolean {
  return method === 'POST' || method === 'PUT' || method === 'PATCH';
}

/**
 * The headers to add to a request: `Content-Digest` (unless given or without a body), `Signature-Input`, `Signature`.
 * Every attempt has to be signed anew, since the verifier takes a nonce once.
 */
export function signRequest(
  request: RequestToSign,
  key: SigningKey,
  options: SignOptions = {},
): Record<string, string> {
  const added: Record<string, string> = {};
  const hasBody = request.body !== undefined || alwaysHasBody(request.method);
  if (hasBody && headerValue(request.headers, 'content-digest') === undefined) {
    added['Content-Digest'] = contentDigest(request.body ?? '');
  }
  const headers: Headers = { ...request.headers, ...added };
  const covered = [
    ...requiredComponents,
    ...coveredHeaders.filter((name) => headerValue(headers, name) !== undefined),
  ].map((value) => ({ value, parameters: new Map() as Parameters }));
  const created = Math.floor((options.now ?? Date.now()) / 1000);
  const input: InnerList = {
    items: covered,
    parameters: new Map<string, string | number>([
      ['created', created],
      ['expires', created + (options.expiresInS ?? 300)],
      ['nonce', options.nonce ?? randomBytes(16).toString('base64url')],
      ['keyid', key.keyId],
      ['alg', signatureAlgorithm],
      ['tag', signatureTag],
    ]),
  };
  const base = signatureBase({ method: request.method, url: request.url, headers }, input);
  added['Signature-Input'] = `paas=${serializeInnerList(input)}`;
  added['Signature'] = `paas=${serializeBare(signBase(base, key.secret))}`;
  return added;
}
