/** What has to be tidied now and then: blobs, logs, events, nonces, old rows. Never what is still needed. */
import { statfs } from 'node:fs/promises';
import type { Control } from '../context.ts';
import { firstSeen } from './cron.ts';
import { pushOf } from './advance.ts';
import type { StoredNonces } from '../store/nonces.ts';

const day = 24 * 3600_000;

export const retention = {
  eventsMs: 30 * day,
  events: 200_000,
  instancesMs: 7 * day,
  deploymentsMs: 30 * day,
  releases: 50,
  buildCacheMs: 14 * day,
};

/** One round; meant to be called every few minutes. */
export async function maintain(control: Control, nonces: StoredNonces, now = Date.now()): Promise<void> {
  const { db } = control.store;
  await nonces.prune(now);
  await control.events.prune(retention.eventsMs, retention.events, now);
  await db
    .deleteFrom('idempotency')
    .where('created_at', '<', now - day)
    .where('status', 'is not', null)
    .execute();
  await db
    .deleteFrom('instances')
    .where('ended_at', '<', now - retention.instancesMs)
    .execute();
  await db
    .deleteFrom('cron_runs')
    .where('scheduled_at', '<', now - retention.instancesMs)
    .where('scheduled_at', '!=', firstSeen)
    .execute();
  await db
    .deleteFrom('deployments')
    .where('finished_at', '<', now - retention.deploymentsMs)
    .execute();
  await db
    .deleteFrom('rollouts')
    .where('finished_at', '<', now - retention.deploymentsMs)
    .execute();
  await db
    .deleteFrom('builds')
    .where('finished_at', '<', now - retention.deploymentsMs)
    .execute();
  await db
    .deleteFrom('build_cache')
    .where('used_at', '<', now - retention.buildCacheMs)
    .execute();
  await pruneReleases(control);
  const live = await db.selectFrom('instances').select('id').where('ended_at', 'is', null).execute();
  const builds = await db.selectFrom('builds').select('id').where('state', 'in', ['queued', 'running']).execute();
  const ids = new Set([...live, ...builds].map(({ id }) => id));
  await control.logs.sweep((instance) => ids.has(instance));
  const collected = await control.blobs.collect(await liveTrees(control), { graceMs: 3600_000 });
  if (collected.damaged.length > 0)
    control.logger.error('objects that a release needs are damaged', undefined, { digests: collected.damaged });
}

/** Keeps the newest releases of each app, and whatever is in force or runs. */
async function pruneReleases(control: Control): Promise<void> {
  const { db } = control.store;
  for (const app of await db.selectFrom('apps').select(['id', 'release', 'last_release']).execute()) {
    const floor = app.last_release - retention.releases;
    if (floor <= 0) continue;
    const used = await db
      .selectFrom('instances')
      .select('release')
      .distinct()
      .where('app_id', '=', app.id)
      .where('ended_at', 'is', null)
      .execute();
    const keep = [app.release ?? 0, ...used.map(({ release }) => release)];
    await db
      .deleteFrom('releases')
      .where('app_id', '=', app.id)
      .where('version', '<=', floor)
      .where('version', 'not in', keep)
      .execute();
  }
  await db
    .deleteFrom('images')
    .where('id', 'not in', db.selectFrom('releases').select('image_id'))
    .where('created_at', '<', Date.now() - 3600_000)
    .execute();
  for (const app of await db.selectFrom('apps').select(['id', 'config_version']).execute()) {
    const pinned = await db
      .selectFrom('releases')
      .select('config_version')
      .distinct()
      .where('app_id', '=', app.id)
      .execute();
    const keep = [app.config_version, ...pinned.map(({ config_version }) => config_version)];
    await db.deleteFrom('config_versions').where('app_id', '=', app.id).where('version', 'not in', keep).execute();
  }
}

/** Roots that the collection of blobs must keep: images, cached builds, bases, and sources of pushes under way. */
async function liveTrees(control: Control): Promise<string[]> {
  const { db } = control.store;
  const [images, cache, bases, builds, open] = await Promise.all([
    db.selectFrom('images').select('tree').execute(),
    db.selectFrom('build_cache').select('tree').execute(),
    db.selectFrom('bases').select('digest').execute(),
    db.selectFrom('builds').select('step').where('finished_at', 'is', null).execute(),
    db.selectFrom('deployments').selectAll().where('finished_at', 'is', null).where('kind', '=', 'push').execute(),
  ]);
  return [
    ...images.map(({ tree }) => tree),
    ...cache.map(({ tree }) => tree),
    ...bases.map(({ digest }) => digest),
    ...builds.map(({ step }) => (JSON.parse(step) as { source: string }).source),
    ...open.map((deployment) => pushOf(control, deployment).source.tree),
  ];
}

/** Warnings about the data directory's disk, before it is full. */
export async function diskWarnings(dataDir: string): Promise<string[]> {
  const { bavail, blocks, bsize } = await statfs(dataDir);
  const free = bavail * bsize;
  const total = blocks * bsize;
  if (free > Math.min(total * 0.05, 1024 ** 3)) return [];
  return [`the control plane's disk (${dataDir}) has only ${Math.round(free / 1024 ** 2)} MiB left`];
}
