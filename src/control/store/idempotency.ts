import { PaasError } from '../../shared/errors.ts';
import type { Store } from './open.ts';

const keepMs = 24 * 3600_000;

export type Begun = { state: 'new' } | { state: 'done'; status: number; body: string };

/**
 * Begins a change under an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header). A key that was answered gives
 * the same answer; one that is under way is `locked`; the same key with another request is `conflict`.
 */
export function beginIdempotent(
  store: Store,
  keyId: string,
  key: string,
  fingerprint: string,
  now = Date.now(),
): Promise<Begun> {
  return store.transaction(async (trx) => {
    const row = await trx
      .selectFrom('idempotency')
      .selectAll()
      .where('key_id', '=', keyId)
      .where('key', '=', key)
      .executeTakeFirst();
    if (!row) {
      await trx
        .insertInto('idempotency')
        .values({ key_id: keyId, key, fingerprint, status: null, body: null, created_at: now })
        .execute();
      return { state: 'new' };
    }
    if (row.fingerprint !== fingerprint) {
      throw new PaasError('conflict', 'This Idempotency-Key was used for another request.', {
        hint: 'Use a new key for each change.',
      });
    }
    if (row.status === null || row.body === null) {
      throw new PaasError('locked', 'The same request is still being carried out.', {
        hint: 'Wait a moment and repeat it.',
      });
    }
    return { state: 'done', status: row.status, body: row.body };
  });
}

export async function finishIdempotent(
  store: Store,
  keyId: string,
  key: string,
  status: number,
  body: string,
): Promise<void> {
  await store.db
    .updateTable('idempotency')
    .set({ status, body })
    .where('key_id', '=', keyId)
    .where('key', '=', key)
    .execute();
}

/** Forgets a request that failed without effect, so that it may be repeated. */
export async function abandonIdempotent(store: Store, keyId: string, key: string): Promise<void> {
  await store.db.deleteFrom('idempotency').where('key_id', '=', keyId).where('key', '=', key).execute();
}

/**
 * At start: requests that a killed server had begun and not answered are forgotten; what they did is in the database or
 * not at all, and repeating them is safe because the handlers are level-triggered.
 */
export async function recoverIdempotent(store: Store, now = Date.now()): Promise<void> {
  await store.db
    .deleteFrom('idempotency')
    .where((eb) => eb.or([eb('status', 'is', null), eb('created_at', '<', now - keepMs)]))
    .execute();
}
