import { createHash, timingSafeEqual } from 'node:crypto';
import { PaasError } from '../../shared/errors.ts';
import { newId, newSecret } from '../../shared/ids.ts';
import type { Sealer } from '../secrets.ts';
import type { Store } from '../store/open.ts';
import type { Keys } from './server.ts';
import type { Principal, Role } from './define.ts';

/** Signing keys of people, machines and agents. Secrets are sealed in the store and cached in clear in memory. */
export class StoredKeys implements Keys {
  readonly #store: Store;
  readonly #sealer: Sealer;
  readonly #cache = new Map<string, { secret: string; principal: Principal }>();

  constructor(store: Store, sealer: Sealer) {
    this.#store = store;
    this.#sealer = sealer;
  }

  async find(keyId: string): Promise<{ secret: string; principal: Principal } | null> {
    const cached = this.#cache.get(keyId);
    if (cached) return cached;
    const row = await this.#store.db
      .selectFrom('keys')
      .selectAll()
      .where('id', '=', keyId)
      .where('revoked_at', 'is', null)
      .executeTakeFirst();
    if (!row) return null;
    const secret = this.#sealer.open(row.secret, `keys/${keyId}`);
    const principal: Principal = { name: row.principal, keyId, role: row.role as Role, hostId: row.host_id };
    const key = { secret, principal };
    this.#cache.set(keyId, key);
    return key;
  }

  /** Adds a key, or replaces one of the same id. */
  async put(key: { id: string; secret: string; principal: string; role: Role; hostId?: string }): Promise<void> {
    const secret = this.#sealer.seal(key.secret, `keys/${key.id}`);
    const values = { principal: key.principal, role: key.role, secret, host_id: key.hostId ?? null, revoked_at: null };
    await this.#store.db
      .insertInto('keys')
      .values({ id: key.id, ...values, created_at: Date.now() })
      .onConflict((conflict) => conflict.column('id').doUpdateSet(values))
      .execute();
    this.#cache.delete(key.id);
  }

  /** Forgets cached keys of a host that was removed. */
  forget(hostId: string): void {
    for (const [id, { principal }] of this.#cache) if (principal.hostId === hostId) this.#cache.delete(id);
  }

  /**
   * Exchanges a host's one-time token for a key of its own. Until the agent has used that key (its first hello), the
   * token may be shown again, since the answer may have been lost; then the earlier key is void.
   * @throws PaasError not_authenticated when the host or the token is unknown, or the token is used up
   */
  async enrol(hostId: string, token: string): Promise<{ keyId: string; secret: string }> {
    const host = await this.#store.db.selectFrom('hosts').selectAll().where('id', '=', hostId).executeTakeFirst();
    const given = createHash('sha256').update(token).digest();
    const expected = host?.enrol_hash ? Buffer.from(host.enrol_hash, 'hex') : Buffer.alloc(32);
    if (!host?.enrol_hash || !timingSafeEqual(given, expected)) {
      throw new PaasError('not_authenticated', 'The enrolment token is unknown or was used before.');
    }
    const key = { keyId: newId('key'), secret: newSecret() };
    const secret = this.#sealer.seal(key.secret, `keys/${key.keyId}`);
    await this.#store.transaction(async (trx) => {
      await trx.deleteFrom('keys').where('host_id', '=', hostId).execute();
      await trx
        .insertInto('keys')
        .values({
          id: key.keyId,
          principal: `host:${host.name}`,
          role: 'agent',
          secret,
          host_id: hostId,
          created_at: Date.now(),
          revoked_at: null,
        })
        .execute();
    });
    this.forget(hostId);
    return key;
  }
}
