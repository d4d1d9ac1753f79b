/** What has to be tidied now and then: rows, blobs, logs. Never what is still needed. */
import { statfs } from 'node:fs/promises';
import { readRouterLogId } from '../../shared/router-log.ts';
import type { Control } from '../context.ts';
import type { StoredNonces } from '../store/nonces.ts';
import { pushOf } from './advance.ts';
import { pruneRows } from './retention.ts';

/** One round; meant to be called every few minutes. */
export async function maintain(control: Control, nonces: StoredNonces, now = Date.now()): Promise<void> {
  const { db } = control.store;
  await pruneRows(control, nonces, now);
  await forgetMeasurements(control);
  const live = await db.selectFrom('instances').select('id').where('ended_at', 'is', null).execute();
  const builds = await db.selectFrom('builds').select('id').where('state', 'in', ['queued', 'running']).execute();
  const ids = new Set([...live, ...builds].map(({ id }) => id));
  const hosts = idsOf(await db.selectFrom('hosts').select('id').execute());
  const apps = idsOf(await db.selectFrom('apps').select('id').execute());
  await control.logs.sweep((instance) => {
    const access = readRouterLogId(instance);
    return access ? hosts.has(access.hostId) && apps.has(access.appId) : ids.has(instance);
  });
  const collected = await control.blobs.collect(await liveTrees(control), { graceMs: 3600_000 });
  if (collected.damaged.length > 0)
    control.logger.error('objects that a release needs are damaged', undefined, { digests: collected.damaged });
}

/** What agents measured of instances and hosts that are gone. */
async function forgetMeasurements(control: Control): Promise<void> {
  const { db } = control.store;
  const live = await db.selectFrom('instances').select('id').where('ended_at', 'is', null).execute();
  const hosts = await db.selectFrom('hosts').select('id').execute();
  keepOnly(control.usage, live);
  keepOnly(control.disks, hosts);
  const apps = await db.selectFrom('apps').select('id').execute();
  const rollouts = await db.selectFrom('rollouts').select('id').where('finished_at', 'is', null).execute();
  control.canaries.prune(idsOf(rollouts));
  control.traffic.prune({ hosts: idsOf(hosts), apps: idsOf(apps) }, control.canaries.apps());
}

const idsOf = (rows: readonly { id: string }[]): Set<string> => new Set(rows.map(({ id }) => id));

function keepOnly(map: Map<string, unknown>, rows: readonly { id: string }[]): void {
  const ids = idsOf(rows);
  for (const id of map.keys()) if (!ids.has(id)) map.delete(id);
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
