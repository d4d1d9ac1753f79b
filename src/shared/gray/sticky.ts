/**
 * Which share of the clients a client belongs to: a number from 0 to 9999 that it keeps. It is handed out in a signed
 * cookie; a client without one gets the number that its address stands for, so that one that takes no cookies keeps its
 * version too. Numbers are an app's own: who is among the first for one app is not so for the next.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

export const shares = 10_000;
export const cookieName = '__paas_share';
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

/** The value of the `Set-Cookie` that makes a client keep its share (RFC 6265). */
export function shareCookie(key: Buffer, appId: string, share: number): string {
  const value = `${share}.${signature(key, appId, share)}`;
  return `${cookieName}=${value}; Path=/; Max-Age=${maxAgeSeconds}; HttpOnly; SameSite=Lax`;
}
