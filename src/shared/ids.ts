import { randomBytes } from 'node:crypto';

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/**
 * A new identifier: prefix, underscore, 20 characters of Crockford base32 (9 of time in ms, 11 random), so that ids
 * of one kind sort by creation. Example: `rel_1hd7w0m2k4v8x2b9qz3f`.
 */
export function newId(prefix: string, now = Date.now()): string {
  let time = '';
  for (let rest = now, i = 0; i < 9; i++, rest = Math.floor(rest / 32)) time = alphabet.charAt(rest % 32) + time;
  let random = '';
  for (const byte of randomBytes(11)) random += alphabet.charAt(byte & 31);
  return `${prefix}_${time}${random}`;
}

/** A secret of `bytes` random bytes as base64url, for keys and tokens. */
export function newSecret(bytes = 32): string {
  return randomBytes(bytes).toString('base64url');
}

/** RFC 1123 label: what names of apps, projects, environments and hosts must be, since they become host names. */
export const dnsLabel = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
