import type { Store } from './open.ts';

export interface Lease {
  name: string;
  /** Fencing token: grows with every change of holder, so that a late writer can be told from the present one. */
  token: number;
  expiresAt: number;
}

/**
 * Takes or renews the lease `name` for `holder` until `now + ttlMs`; null while another holder's has not expired.
 * The holder is a server's identity kept in its data directory: a server that was killed and started again has its own
 * lease back at once, another one waits for the expiry.
 */
export function takeLease(
  store: Store,
  name: string,
  holder: string,
  ttlMs: number,
  now = Date.now(),
): Promise<Lease | null> {
  return store.transaction(async (trx) => {
    const row = await trx.selectFrom('leases').selectAll().where('name', '=', name).executeTakeFirst();
    const expiresAt = now + ttlMs;
    if (!row) {
      await trx.insertInto('leases').values({ name, holder, token: 1, expires_at: expiresAt }).execute();
      return { name, token: 1, expiresAt };
    }
    if (row.holder !== holder && row.expires_at > now) return null;
    const token = row.holder === holder ? row.token : row.token + 1;
    await trx.updateTable('leases').set({ holder, token, expires_at: expiresAt }).where('name', '=', name).execute();
    return { name, token, expiresAt };
  });
}

/** Gives the lease back, if `holder` still has it. */
export async function releaseLease(store: Store, name: string, holder: string): Promise<void> {
  await store.db
    .updateTable('leases')
    .set({ expires_at: 0 })
    .where('name', '=', name)
    .where('holder', '=', holder)
    .execute();
}
