/**
 * SpeedyCloud's two ways to sign a request. Neither has a published vector, and the live service cannot be asked any
 * more: both are unverified against the live service.
 *
 *   header         API-KEY, API-REQUEST-DATE (HTTP date), API-HMAC = hex(HMAC-SHA1(API key, date)). It signs the date
 *                  alone and sends its key in clear: only for TLS and loopback.
 *   authorization  Date, Authorization: <access key>,<hex(HMAC-SHA1(secret key, METHOD\nPATH\nDATE\n))>, PATH without
 *                  the query (the provider's SDK of 2018).
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

export type SpeedycloudAuthMode = 'header' | 'authorization';

/** How far the date of a request may be off, both ways. */
export const speedycloudDateToleranceMs = 15 * 60_000;

/** Headers of the `header` mode. */
export function signSpeedycloudHeader(apiKey: string, date: Date): Record<string, string> {
  const httpDate = date.toUTCString();
  return { 'api-key': apiKey, 'api-request-date': httpDate, 'api-hmac': hmacSha1(apiKey, httpDate) };
}

/** Headers of the `authorization` mode. `path` may carry a query, which is not signed. */
export function signSpeedycloudAuthorization(
  keys: { accessKey: string; secretKey: string },
  method: string,
  path: string,
  date: Date,
): Record<string, string> {
  const httpDate = date.toUTCString();
  const bare = path.split('?', 1)[0] ?? path;
  const signature = hmacSha1(keys.secretKey, `${method.toUpperCase()}\n${bare}\n${httpDate}\n`);
  return { date: httpDate, authorization: `${keys.accessKey},${signature}` };
}

export type SpeedycloudRefusal = 'key' | 'hmac' | 'date';

/**
 * Checks the headers of the `header` mode as a server does, in constant time.
 * @returns null when they are right, else what is wrong: an unknown key, a wrong HMAC, or (the signature being right)
 *   a date that cannot be read or is more than 15 minutes off
 */
export function verifySpeedycloudHeader(
  apiKey: string,
  headers: Record<string, string | string[] | undefined>,
  now: Date,
): SpeedycloudRefusal | null {
  const one = (name: string) => {
    const value = headers[name];
    return typeof value === 'string' ? value : '';
  };
  const httpDate = one('api-request-date');
  if (!sameSecret(one('api-key'), apiKey)) return 'key';
  if (!sameSecret(one('api-hmac').toLowerCase(), hmacSha1(apiKey, httpDate))) return 'hmac';
  const offBy = Math.abs(Date.parse(httpDate) - now.getTime());
  return offBy <= speedycloudDateToleranceMs ? null : 'date';
}

function hmacSha1(key: string, message: string): string {
  return createHmac('sha1', key).update(message).digest('hex');
}

/** Compares digests, so that neither content nor length shows in the time it takes. */
function sameSecret(given: string, right: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(right));
}
