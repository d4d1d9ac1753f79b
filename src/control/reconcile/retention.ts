/** How long rows of the database are kept. Everything that grows with use has a bound, by age and by number. */
import { sql, type RawBuilder } from 'kysely';
import type { Control } from '../context.ts';
import { effectsOf } from '../deploy/effects.ts';
import { grayOf } from '../deploy/gray.ts';
import type { StoredNonces } from '../store/nonces.ts';
import type { Db, Trx } from '../store/open.ts';
import type { AppRow } from '../store/schema.ts';
import { firstSeen } from './cron.ts';

const day = 24 * 3600_000;

export const retention = {
  eventsMs: 30 * day,
  events: 200_000,
  instancesMs: 7 * day,
  /** Of each app, besides those that run. */
  instances: 1000,
  deploymentsMs: 30 * day,
  /** Of each app, besides those under way; so many rollouts and builds, too. */
  deployments: 500,
  releases: 50,
  buildCacheMs: 14 * day,
  /** Of each project. */
  builtTrees: 200,
};

/** Drops what is older or more than `retention` says; never what is in force or under way. */
export async function pruneRows(control: Control, nonces: StoredNonces, now: number): Promise<void> {
  const { db } = control.store;
  await nonces.prune(now);
  await control.events.prune(retention.eventsMs, retention.events, now);
  await db
    .deleteFrom('idempotency')
    .where('created_at', '<', now - day)
    .where('status', 'is not', null)
    .execute();
  await db
    .deleteFrom('cron_runs')
    .where('scheduled_at', '<', now - retention.instancesMs)
    .where('scheduled_at', '!=', firstSeen)
    .execute();
  await pruneHistory(control, now);
  await pruneBuildCache(control, now);
  await pruneReleases(control, now);
}

/** What has ended goes when it is old, and when an app has more of it. */
async function pruneHistory(control: Control, now: number): Promise<void> {
  const { db } = control.store;
  const apps = await db.selectFrom('apps').select('id').execute();
  for (const [name, end, keep, maxMs] of [
    ['instances', 'ended_at', retention.instances, retention.instancesMs],
    ['deployments', 'finished_at', retention.deployments, retention.deploymentsMs],
    ['rollouts', 'finished_at', retention.deployments, retention.deploymentsMs],
    ['builds', 'finished_at', retention.deployments, retention.deploymentsMs],
  ] as const) {
    const table = sql.table(name);
    const ended = sql.ref(end);
    await sql`delete from ${table} where ${ended} < ${now - maxMs}`.execute(db);
    for (const { id } of apps) await pruneBeyond(db, table, sql`app_id = ${id}`, ended, keep);
  }
}

/** What no push has asked for in a while goes, and the least recently used where a project has more of it. */
async function pruneBuildCache(control: Control, now: number): Promise<void> {
  const { db } = control.store;
  await db
    .deleteFrom('build_cache')
    .where('used_at', '<', now - retention.buildCacheMs)
    .execute();
  const table = sql.table('build_cache');
  for (const { project } of await db.selectFrom('build_cache').select('project').distinct().execute())
    await pruneBeyond(db, table, sql`project = ${project}`, sql.ref('used_at'), retention.builtTrees);
}

/** Of the rows that are meant, keeps those with the `keep` latest times; rows without a time stay. */
async function pruneBeyond(
  db: Db,
  table: RawBuilder<unknown>,
  meant: RawBuilder<unknown>,
  time: RawBuilder<unknown>,
  keep: number,
): Promise<void> {
  // Where there are no more, the inner query has no row, and nothing compares with null.
  await sql`delete from ${table} where ${meant} and ${time} <= (
    select ${time} from ${table} where ${meant} and ${time} is not null order by ${time} desc limit 1 offset ${keep}
  )`.execute(db);
}

/**
 * Keeps the newest releases of each app with their config, and whatever is in force, runs or may be gone back to. What
 * stays is decided in the transaction that deletes: nothing that is recorded meanwhile can be missing from it.
 */
async function pruneReleases(control: Control, now: number): Promise<void> {
  const { store } = control;
  for (const { id } of await store.db.selectFrom('apps').select('id').execute()) {
    await store.transaction(async (trx) => {
      const app = await trx.selectFrom('apps').selectAll().where('id', '=', id).executeTakeFirst();
      if (!app) return;
      await pruneReleasesOf(trx, app);
      await pruneConfigOf(trx, app);
    });
  }
  await store.transaction(async (trx) => {
    await trx
      .deleteFrom('images')
      .where('id', 'not in', trx.selectFrom('releases').select('image_id'))
      .where('created_at', '<', now - 3600_000)
      .execute();
  });
}

async function pruneReleasesOf(trx: Trx, app: AppRow): Promise<void> {
  const floor = app.last_release - retention.releases;
  if (floor <= 0) return;
  const used = await trx
    .selectFrom('instances')
    .select('release')
    .where('app_id', '=', app.id)
    .where('ended_at', 'is', null)
    .union(
      trx
        .selectFrom('deployments')
        .select((eb) => eb.ref('release').$notNull().as('release'))
        .where('app_id', '=', app.id)
        .where('finished_at', 'is', null)
        .where('release', 'is not', null),
    )
    .execute();
  const led = grayOf(app).rules.map(({ release }) => release);
  const keep = [app.release ?? 0, ...led, ...used.map(({ release }) => release)];
  await trx
    .deleteFrom('releases')
    .where('app_id', '=', app.id)
    .where('version', '<=', floor)
    .where('version', 'not in', keep)
    .execute();
}

async function pruneConfigOf(trx: Trx, app: AppRow): Promise<void> {
  const rollouts = await trx
    .selectFrom('rollouts')
    .select('effects')
    .where('app_id', '=', app.id)
    .where('finished_at', 'is', null)
    .execute();
  const pinned = await trx
    .selectFrom('releases')
    .select('config_version')
    .distinct()
    .where('app_id', '=', app.id)
    .execute();
  const keep = [
    app.config_version,
    ...pinned.map(({ config_version }) => config_version),
    ...rollouts.map(effectsOf).flatMap(({ configBefore, configAfter }) => [configBefore, configAfter]),
  ];
  await trx
    .deleteFrom('config_versions')
    .where('app_id', '=', app.id)
    .where('version', 'not in', keep)
    // The last number stays taken, whatever it is worth: the next version counts on from it.
    .where('version', '<', (eb) =>
      eb
        .selectFrom('config_versions as every')
        .select((of) => of.fn.max('every.version').as('last'))
        .where('every.app_id', '=', app.id),
    )
    .execute();
}
