/** JSON Web Signatures as RFC 8555 (6.2) wants them, checked as an authority does. */
import { createHash, createPublicKey, verify, type JsonWebKey, type KeyObject } from 'node:crypto';

export interface Signed {
  header: { alg: string; nonce?: string; url?: string; kid?: string; jwk?: JsonWebKey };
  payload: Record<string, unknown> | null;
  /** Whether this key signed it. */
  isBy: (key: KeyObject) => boolean;
}

export function readJws(text: string): Signed {
  const body = JSON.parse(text) as { protected: string; payload: string; signature: string };
  const decode = (part: string): string => Buffer.from(part, 'base64url').toString();
  const header = JSON.parse(decode(body.protected)) as Signed['header'];
  return {
    header,
    payload: body.payload === '' ? null : (JSON.parse(decode(body.payload)) as Record<string, unknown>),
    isBy: (key) => {
      const isRight = { ES256: key.asymmetricKeyType === 'ec', RS256: key.asymmetricKeyType === 'rsa' }[header.alg];
      if (isRight !== true) return false;
      const options = header.alg === 'ES256' ? { key, dsaEncoding: 'ieee-p1363' as const } : key;
      const signed = Buffer.from(`${body.protected}.${body.payload}`);
      return verify('sha256', signed, options, Buffer.from(body.signature, 'base64url'));
    },
  };
}

export const keyOf = (jwk: JsonWebKey): KeyObject => createPublicKey({ key: jwk, format: 'jwk' });

/** RFC 7638: the members that make the key, in order, hashed. */
export function thumbprint({ kty, crv, x, y, e, n }: JsonWebKey): string {
  const members = kty === 'EC' ? { crv, kty, x, y } : { e, kty, n };
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url');
}
