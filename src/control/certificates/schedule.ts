/** When certificates are asked for: pure. Times in milliseconds since 1970. */

const minute = 60_000;
const day = 86_400_000;

/** From here on `paas status` warns. */
export const warningMs = 14 * day;

/** Once only a third of its life is left: 30 days before the end of one of 90 days, 2 of one of 6. */
export function renewAt(notBefore: number, notAfter: number): number {
  return Math.round(notAfter - (notAfter - notBefore) / 3);
}

/**
 * How long to wait after a failure.
 * @param attempts failures since the last success, this one included
 * @param atLeast what the authority asked for (Retry-After); it is held to a week, so that a slip of its does not end it
 */
export function retryAfter(attempts: number, atLeast = 0): number {
  const wait = Math.min(day, minute * 2 ** Math.min(attempts - 1, 20));
  return Math.max(wait, Math.min(atLeast, 7 * day));
}
