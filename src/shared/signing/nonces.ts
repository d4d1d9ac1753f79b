import { PaasError } from '../errors.ts';

/** Remembers which nonces were used, so that a recorded request cannot be sent again. */
export interface NonceStore {
  /**
   * Marks a nonce of a key as used. False when it was used before. It has to be remembered until `expiresAt`
   * (milliseconds since 1970): later the time window refuses the request anyway.
   */
  use(keyId: string, nonce: string, expiresAt: number): Promise<boolean> | boolean;
}

/**
 * Nonces in memory, for one process and until it ends. When `limit` unexpired ones are held it refuses with
 * `unavailable` instead of forgetting: forgetting would let a replay through.
 */
export function createMemoryNonceStore(limit = 500_000, clock: () => number = Date.now): NonceStore {
  const used = new Map<string, number>();
  return {
    use(keyId, nonce, expiresAt) {
      const now = clock();
      // In order of arrival, which is nearly the order of expiry: what hides behind a later one waits for it.
      for (const [id, expiry] of used) {
        if (expiry >= now) break;
        used.delete(id);
      }
      const id = JSON.stringify([keyId, nonce]);
      if (used.has(id)) return false;
      if (used.size >= limit) {
        throw new PaasError('unavailable', 'too many signed requests within the time window', {
          hint: 'Send fewer requests; it goes on by itself within minutes.',
        });
      }
      used.set(id, expiresAt);
      return true;
    },
  };
}
