import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openStore } from '../../src/control/store/open.ts';
import { removeBundles } from '../support/bundle.ts';
import { PostgresServer, postgresPrograms } from '../support/postgres.ts';
import { requireOrSkip } from '../support/skip.ts';
import { storeSuite, type StoreHarness } from './store.suite.ts';

const programs = postgresPrograms();
let server: PostgresServer | undefined;

beforeAll(async () => {
  if (programs !== null) server = await PostgresServer.start(programs);
});
afterAll(async () => {
  await server?.stop();
  removeBundles();
});

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

  it('that does not answer is unavailable, in words without a password', async () => {
    const opening = openStore('postgres://someone:s3cret@127.0.0.1:1/paas');
    await expect(opening).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.not.stringContaining('s3cret') as string,
    });
  });
});
