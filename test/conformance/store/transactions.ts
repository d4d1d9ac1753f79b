import { describe, expect, it } from 'vitest';
import { releaseLease, takeLease } from '../../../src/control/store/leases.ts';
import type { Stores } from '../store.suite.ts';

export function transactions(stores: Stores): void {
  describe('transactions', () => {
    it('leave nothing behind when they fail', async () => {
      const store = await stores.open();
      const failing = store.transaction(async (trx) => {
        await trx.insertInto('meta').values({ key: 'a', value: '1' }).execute();
        throw new Error('no');
      });
      await expect(failing).rejects.toThrow('no');
      expect(await store.db.selectFrom('meta').selectAll().execute()).toEqual([]);
      // And the store goes on.
      await store.transaction((trx) => trx.insertInto('meta').values({ key: 'a', value: '2' }).execute());
      expect(await store.db.selectFrom('meta').select('value').execute()).toEqual([{ value: '2' }]);
    });

    it('are serial: concurrent read-modify-writes all count', async () => {
      const store = await stores.open();
      await store.db.insertInto('meta').values({ key: 'n', value: '0' }).execute();
      const increment = () =>
        store.transaction(async (trx) => {
          const row = await trx.selectFrom('meta').select('value').where('key', '=', 'n').executeTakeFirstOrThrow();
          await trx
            .updateTable('meta')
            .set({ value: String(Number(row.value) + 1) })
            .where('key', '=', 'n')
            .execute();
        });
      await Promise.all(Array.from({ length: 20 }, increment));
      expect(await store.db.selectFrom('meta').select('value').execute()).toEqual([{ value: '20' }]);
    });

    it('that insert the same key at once: one inserts, the others find it', async () => {
      const store = await stores.open();
      const ensure = () =>
        store.transaction(async (trx) => {
          const row = await trx.selectFrom('meta').select('value').where('key', '=', 'k').executeTakeFirst();
          if (row) return 'found';
          await trx.insertInto('meta').values({ key: 'k', value: 'v' }).execute();
          return 'inserted';
        });
      const answers = await Promise.all(Array.from({ length: 8 }, ensure));
      expect(answers.filter((answer) => answer === 'inserted')).toHaveLength(1);
    });

    it('report a key that is really there twice', async () => {
      const store = await stores.open();
      await store.db.insertInto('meta').values({ key: 'k', value: 'v' }).execute();
      const double = store.transaction((trx) => trx.insertInto('meta').values({ key: 'k', value: 'w' }).execute());
      await expect(double).rejects.toThrow();
    });

    it('take empty lists', async () => {
      const store = await stores.open();
      await store.db.insertInto('meta').values({ key: 'k', value: 'v' }).execute();
      expect(await store.db.selectFrom('meta').select('key').where('key', 'in', []).execute()).toEqual([]);
      expect(await store.db.selectFrom('meta').select('key').where('key', 'not in', []).execute()).toHaveLength(1);
    });
  });

  describe('leases', () => {
    it('have one holder, who renews with the same token', async () => {
      const store = await stores.open();
      expect(await takeLease(store, 'l', 'a', 1000, 5000)).toEqual({ name: 'l', token: 1, expiresAt: 6000 });
      expect(await takeLease(store, 'l', 'b', 1000, 5500)).toBeNull();
      expect(await takeLease(store, 'l', 'a', 1000, 5900)).toEqual({ name: 'l', token: 1, expiresAt: 6900 });
      expect(await takeLease(store, 'l', 'b', 1000, 6899)).toBeNull();
    });

    it('go to another holder when they expire, with a larger token', async () => {
      const store = await stores.open();
      await takeLease(store, 'l', 'a', 1000, 5000);
      expect(await takeLease(store, 'l', 'b', 1000, 6000)).toMatchObject({ token: 2 });
      expect(await takeLease(store, 'l', 'a', 1000, 6500)).toBeNull();
      expect(await takeLease(store, 'l', 'a', 1000, 7000)).toMatchObject({ token: 3 });
    });

    it('come back at once to a holder that was killed, and to others once they are released', async () => {
      const url = await stores.fresh();
      const store = await stores.open(url);
      await takeLease(store, 'l', 'a', 1000, 5000);
      const again = await stores.open(url);
      expect(await takeLease(again, 'l', 'a', 1000, 5001)).toMatchObject({ token: 1 });
      await releaseLease(again, 'l', 'someone else');
      expect(await takeLease(again, 'l', 'b', 1000, 5002)).toBeNull();
      await releaseLease(again, 'l', 'a');
      expect(await takeLease(again, 'l', 'b', 1000, 5002)).toMatchObject({ token: 2 });
    });

    it('have one taker of many at once', async () => {
      const store = await stores.open();
      const holders = Array.from({ length: 8 }, (_, index) => `server-${index}`);
      const taken = await Promise.all(holders.map((holder) => takeLease(store, 'l', holder, 60_000, 5000)));
      expect(taken.filter((lease) => lease !== null)).toHaveLength(1);
    });
  });
}
