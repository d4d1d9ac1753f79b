/** The one suite of the Store port, run on every dialect. */
import { beforeEach, describe, expect, it, type TestContext } from 'vitest';
import { sql } from 'kysely';
import { migrations, type Migration } from '../../src/control/store/migrations/index.ts';
import { openStore, type Store } from '../../src/control/store/open.ts';
import { durability } from './store/durability.ts';
import { instances } from './store/instances.ts';
import { memory } from './store/memory.ts';
import { transactions } from './store/transactions.ts';

export interface StoreHarness {
  /** Skips the test where the dialect's database is not installed. */
  require(context: Pick<TestContext, 'skip'>): void;
  /** URL of a new, empty database. */
  fresh(): Promise<string>;
}

/** What a part of the suite gets: stores that are closed after the test. */
export interface Stores extends StoreHarness {
  /** Opens a store, of a new database unless an url is given. */
  open(url?: string): Promise<Store>;
}

export function storeSuite(name: string, harness: StoreHarness): void {
  describe(`store on ${name}`, () => {
    let opened: Store[] = [];
    beforeEach((context) => {
      harness.require(context);
      return async () => {
        for (const store of opened) await store.close();
        opened = [];
      };
    });
    const stores: Stores = {
      ...harness,
      async open(url) {
        const store = await openStore(url ?? (await harness.fresh()));
        opened.push(store);
        return store;
      },
    };

    describe('opening', () => {
      it('makes the schema once, and finds it again', async () => {
        const url = await harness.fresh();
        const first = await stores.open(url);
        await first.db.insertInto('meta').values({ key: 'k', value: 'v' }).execute();
        await first.close();
        const second = await stores.open(url);
        expect(await second.db.selectFrom('meta').selectAll().execute()).toEqual([{ key: 'k', value: 'v' }]);
      });

      it('refuses data of a later version, and leaves it alone', async () => {
        const url = await harness.fresh();
        const store = await stores.open(url);
        const versions = store.db.withTables<{ schema_version: { version: number; name: string } }>();
        await versions.insertInto('schema_version').values({ version: 999, name: 'from-the-future' }).execute();
        await store.db.insertInto('meta').values({ key: 'k', value: 'v' }).execute();
        await store.close();
        await expect(openStore(url)).rejects.toMatchObject({
          code: 'conflict',
          message: expect.stringContaining('later version') as string,
          hint: expect.stringContaining('Upgrade') as string,
        });
        await expect(openStore(url)).rejects.toMatchObject({ code: 'conflict' });
      });

      const second: Migration = {
        name: '0002-second',
        up: async (db) => {
          await db.schema.alterTable('meta').addColumn('note', 'text').execute();
          await sql`update meta set note = value`.execute(db);
        },
      };

      it('upgrades data of the version before, once, and keeps all that is in it', async () => {
        const url = await harness.fresh();
        const before = await stores.open(url);
        await before.db.insertInto('meta').values({ key: 'k', value: 'v' }).execute();
        await before.close();
        for (let start = 1; start <= 2; start++) {
          const upgraded = await openStore(url, [...migrations, second]);
          const rows = await sql`select * from meta`.execute(upgraded.db);
          expect(rows.rows).toEqual([{ key: 'k', value: 'v', note: 'v' }]);
          await upgraded.close();
        }
        await expect(openStore(url)).rejects.toMatchObject({ code: 'conflict' });
      });

      it('leaves data as they were where an upgrade fails, and upgrades them later', async () => {
        const url = await harness.fresh();
        const before = await stores.open(url);
        await before.db.insertInto('meta').values({ key: 'k', value: 'v' }).execute();
        await before.close();
        const broken: Migration = {
          name: '0003-broken',
          up: async (db) => {
            await sql`update nothing set x = 1`.execute(db);
          },
        };
        await expect(openStore(url, [...migrations, second, broken])).rejects.toMatchObject({
          message: expect.stringContaining('cannot be upgraded') as string,
          hint: expect.stringContaining('Nothing was changed') as string,
        });
        const again = await stores.open(url);
        expect(await again.db.selectFrom('meta').selectAll().execute()).toEqual([{ key: 'k', value: 'v' }]);
        await again.close();
        await (await openStore(url, [...migrations, second])).close();
      });

      it('gives numbers back as numbers, up to the largest that is exact', async () => {
        const store = await stores.open();
        const large = Number.MAX_SAFE_INTEGER;
        const row = await store.db
          .insertInto('leases')
          .values({ name: 'n', holder: 'h', token: large, expires_at: 0 })
          .returningAll()
          .executeTakeFirstOrThrow();
        expect(row).toEqual({ name: 'n', holder: 'h', token: large, expires_at: 0 });
        expect(await store.db.selectFrom('leases').selectAll().execute()).toEqual([row]);
      });
    });

    transactions(stores);
    memory(stores);
    instances(stores);
    durability(stores);
  });
}
