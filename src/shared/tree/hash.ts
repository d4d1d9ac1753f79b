import * as crypto from 'node:crypto';

type OneShot = (algorithm: string, data: Uint8Array, encoding: 'hex') => string;

/** `crypto.hash` (Node 20.12) costs a third of `createHash` on a small file; the agent also runs on Node 18. */
const oneShot: OneShot | undefined = 'hash' in crypto ? crypto.hash : undefined;

/** sha256 of `bytes` in lower-case hex: the name of an object. */
export function sha256(bytes: Uint8Array): string {
  return oneShot ? oneShot('sha256', bytes, 'hex') : crypto.createHash('sha256').update(bytes).digest('hex');
}

export const digestPattern = /^[0-9a-f]{64}$/;
