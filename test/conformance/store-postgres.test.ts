import { sql, type Kysely } from 'kysely';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { migrations } from '../../src/control/store/migrations/index.ts';
import { openStore } from '../../src/control/store/open.ts';
import { PostgresServer, postgresPrograms, type PostgresProxy } from '../support/postgres.ts';
import { requireOrSkip } from '../support/skip.ts';
import { storeSuite, type StoreHarness } from './store.suite.ts';

const programs = postgresPrograms();
let server: PostgresServer | undefined;

beforeAll(async () => {
  if (programs !== null) server = await PostgresServer.start(programs);
}, 120_000);
afterAll(() => server?.stop());

const harness: StoreHarness = {
  require: (context) => requireOrSkip(context, programs !== null, 'PostgreSQL (initdb, postgres) is not installed'),
  fresh: () => server!.database(),
};

storeSuite('PostgreSQL', harness);

describe('a store on PostgreSQL', () => {
  beforeEach((context) => harness.require(context));

  it('is made once by two servers that start at the same moment', async () => {
    const url = await harness.fresh();
    const stores = await Promise.all([openStore(url), openStore(url), openStore(url)]);
    for (const store of stores) {
      expect(await store.db.selectFrom('meta').selectAll().execute()).toEqual([]);
      await store.close();
    }
  });

  it('goes on when its connections break', async () => {
    const store = await openStore(await harness.fresh());
    await store.db.insertInto('meta').values({ key: 'k', value: 'v' }).execute();
    await server!.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname is not null',
    );
    await expect
      .poll(() => store.db.selectFrom('meta').select('value').execute().catch(String))
      .toEqual([{ value: 'v' }]);
    await store.close();
  });

  describe('behind a network', () => {
    const rows = [{ key: 'k', value: 'v' }];
    let proxy: PostgresProxy;
    let url: string;
    beforeEach(async () => {
      ({ proxy, url } = await server!.behindProxy());
    });
    afterEach(() => proxy.stop());

    it.each([
      ['that swallows what is sent', () => proxy.freeze(), /timeout/, 500],
      ['that cuts its connections', () => proxy.cut(), /terminated|ECONNRESET/, 60_000],
    ] as const)('%s refuses the queries under way, and goes on', async (_, fail, words, queryMs) => {
      const before = await openStore(url);
      await before.db.insertInto('meta').values(rows).execute();
      await before.close();
      const store = await openStore(url, migrations, queryMs);
      const under = [
        sql`select pg_sleep(600)`.execute(store.db),
        store.transaction((trx) => sql`select pg_sleep(600)`.execute(trx)),
      ];
      let isOver = false;
      const outcomes = Promise.allSettled(under).finally(() => (isOver = true));
      const sleepers = `select 1 from pg_stat_activity where datname = '${url.split('/').pop()}' and query like '%pg_sleep%'`;
      // On a busy machine they may have run out of their time before they are there.
      await expect.poll(async () => isOver || (await server!.query(sleepers)).length === 2).toBe(true);
      fail();
      for (const outcome of await outcomes) expect(String((outcome as PromiseRejectedResult).reason)).toMatch(words);
      // On a busy machine a query may take longer than this store lets it.
      await expect.poll(() => store.db.selectFrom('meta').selectAll().execute().catch(String)).toEqual(rows);
      await store.close();
    });

    it('whose connection is cut between two queries of a transaction refuses that, and goes on', async () => {
      const store = await openStore(url);
      const cut = store.transaction(async (trx) => {
        await trx.insertInto('meta').values(rows).execute();
        proxy.cut();
        await new Promise((resolve) => setTimeout(resolve, 50));
        return trx.selectFrom('meta').selectAll().execute();
      });
      await expect(cut).rejects.toThrow();
      expect(await store.db.selectFrom('meta').selectAll().execute()).toEqual([]);
      await store.close();
    });

    it('lets a migration take longer than a query may', async () => {
      const slow = {
        name: 'slow',
        up: (db: Kysely<unknown>) => sql`select pg_sleep(1)`.execute(db).then(() => undefined),
      };
      const store = await openStore(url, [slow], 500);
      await store.close();
    });
  });

  it('that does not answer is unavailable, in words without a password', async () => {
    const opening = openStore('postgres://someone:s3cret@127.0.0.1:1/paas');
    await expect(opening).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.not.stringContaining('s3cret') as string,
    });
  });
});
