import type { Store } from './open.ts';

/** Remembers nonces of signed requests until they expire, across restarts: a replayed one answers false. */
export class StoredNonces {
  readonly #store: Store;
  #uses = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /** True when `nonce` is new for this key; it is then used up durably. `expiresAt` in ms. */
  async use(keyId: string, nonce: string, expiresAt: number): Promise<boolean> {
    const result = await this.#store.db
      .insertInto('nonces')
      .values({ key_id: keyId, nonce, expires_at: expiresAt })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    if (++this.#uses % 1000 === 0) await this.prune();
    return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
  }

  async prune(now = Date.now()): Promise<void> {
    await this.#store.db.deleteFrom('nonces').where('expires_at', '<', now).execute();
  }
}
