/**
 * Which share of the clients a client belongs to: a number from 0 to 9999 that it keeps. It is handed out in a signed
 * cookie; a client without one gets the number that its address stands for, so that one that takes no cookies keeps its
 * version too. Numbers are an app's own: who is among the first for one app is not so for the next.
 *
 * Each release has an order of its own of all shares (`placeIn`), and `percent:5` are the first 5 % in it: growing
 * percentages of one release add clients and take none away, and who is among those of one release says nothing of who
 * is among those of another. Otherwise the first 10 % of one would be all of the first 5 % of the next.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

export const shares = 10_000;
/** The cookie's name. An app's own, since several may share a host. @param appId letters, digits, `_` and `-` only */
export const cookieOf = (appId: string): string => `__paas_share_${appId}`;
const rounds = 4;
/** A prime, so that a square of what is below it stays an exact number (2^53), in Lua too. */
const prime = 33_554_393;
const maxAgeSeconds = 30 * 24 * 3600;

const signature = (key: Buffer, appId: string, share: number): string =>
  createHmac('sha256', key).update(`${appId}:${share}`).digest('base64url').slice(0, 22);

/** @returns the share that a cookie's value names; null when it is not one that this platform gave for this app */
export function readShare(key: Buffer, appId: string, cookie: string): number | null {
  const found = /^(\d{1,4})\.([\w-]{22})$/.exec(cookie);
  if (!found) return null;
  const share = Number(found[1]);
  const wanted = Buffer.from(signature(key, appId, share));
  return timingSafeEqual(wanted, Buffer.from(found[2]!)) ? share : null;
}

export function shareOfAddress(key: Buffer, appId: string, address: string): number {
  return createHmac('sha256', key).update(`${appId}@${address}`).digest().readUInt32BE(0) % shares;
}

/** What a release's order of the shares is made from. */
export function shareKeys(release: number): readonly number[] {
  const keys: number[] = [];
  for (let key = release, i = 0; i < rounds; i++) keys.push((key = (key * 48_271 + 11) % prime));
  return keys;
}

/**
 * A share's place in a release's order: a Feistel network over two digits of 100, so that each share has one place and
 * each place one share. The same in router/nginx/lua/gray.ts.
 * @param keys the release's (`shareKeys`)
 * @returns 0 to 9999
 */
export function placeIn(share: number, keys: readonly number[]): number {
  let left = Math.floor(share / 100);
  let right = share % 100;
  for (const key of keys) {
    const sum = right + key;
    const next = (left + ((sum * sum) % prime)) % 100;
    left = right;
    right = next;
  }
  return left * 100 + right;
}

/** The value of the `Set-Cookie` that makes a client keep its share (RFC 6265). */
export function shareCookie(key: Buffer, appId: string, share: number): string {
  const value = `${share}.${signature(key, appId, share)}`;
  return `${cookieOf(appId)}=${value}; Path=/; Max-Age=${maxAgeSeconds}; HttpOnly; SameSite=Lax`;
}
