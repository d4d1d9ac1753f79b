/** What an agent is told to run: from instance rows, releases, images and config to its assignment. */
import type { Assignment } from '../../shared/contracts/agent.ts';
import type { InstanceSpec } from '../../shared/contracts/instances.ts';
import type { Control } from '../context.ts';
import type { ReleaseProcesses, Config } from '../deploy/types.ts';
import type { Db, Trx } from '../store/open.ts';
import type { AppRow, ImageRow, InstanceRow, ReleaseRow } from '../store/schema.ts';
import { runsOnce } from '../store/instances.ts';
import { appEnvironment } from '../deploy/environment.ts';

/** How many earlier releases' trees hosts keep, so that a rollback finds them there. */
const keptReleases = 5;

/** The whole desired state of one host, or null when the host is not known (any more). */
export async function assignmentOf(control: Control, hostId: string): Promise<Assignment | null> {
  const { db } = control.store;
  const host = await db.selectFrom('hosts').select(['generation']).where('id', '=', hostId).executeTakeFirst();
  if (!host) return null;
  const rows = await db
    .selectFrom('instances')
    .selectAll()
    .where('host_id', '=', hostId)
    .where('ended_at', 'is', null)
    .where('desired', 'in', ['run', 'drain'])
    .orderBy('created_at')
    .execute();
  const releases = new Map<string, ReleaseFacts | null>();
  const instances: InstanceSpec[] = [];
  for (const row of rows) {
    const key = `${row.app_id}/${row.release}`;
    if (!releases.has(key)) releases.set(key, await releaseFacts(control, row.app_id, row.release));
    const facts = releases.get(key);
    if (facts) instances.push(instanceSpec(control, row, facts));
  }
  const keepTrees = await treesWorthKeeping(control, [...new Set(rows.map((row) => row.app_id))]);
  return { generation: host.generation, instances, keepTrees };
}

export interface ReleaseFacts {
  app: AppRow;
  release: ReleaseRow;
  image: ImageRow;
  processes: ReleaseProcesses;
  config: Config;
}

/** Everything that a release fixes, with its config in clear. Null when it does not exist. */
export async function releaseFacts(control: Control, appId: string, version: number): Promise<ReleaseFacts | null> {
  const { db } = control.store;
  const app = await db.selectFrom('apps').selectAll().where('id', '=', appId).executeTakeFirst();
  const release = await db
    .selectFrom('releases')
    .selectAll()
    .where('app_id', '=', appId)
    .where('version', '=', version)
    .executeTakeFirst();
  if (!app || !release) return null;
  const image = await db.selectFrom('images').selectAll().where('id', '=', release.image_id).executeTakeFirstOrThrow();
  const processes = JSON.parse(release.processes) as ReleaseProcesses;
  return { app, release, image, processes, config: await openConfig(control, appId, release.config_version) };
}

/** The values of a config version; version 0 is the empty config of an app without any. @param db inside a transaction */
export async function openConfig(
  control: Pick<Control, 'store' | 'sealer'>,
  appId: string,
  version: number,
  db: Db | Trx = control.store.db,
): Promise<Config> {
  if (version === 0) return {};
  const row = await db
    .selectFrom('config_versions')
    .select('values')
    .where('app_id', '=', appId)
    .where('version', '=', version)
    .executeTakeFirstOrThrow();
  return JSON.parse(control.sealer.open(row.values, configPlace(appId, version))) as Config;
}

export const configPlace = (appId: string, version: number): string => `config/${appId}/${version}`;

/** One instance as the agent is told of it. A one-off's own command stands in `command` of the row. */
export function instanceSpec(control: Control, row: InstanceRow, facts: ReleaseFacts): InstanceSpec {
  const process = facts.processes[row.process_type];
  const once = runsOnce(row);
  const name = `${row.process_type}.${row.ordinal}`;
  return {
    id: row.id,
    name,
    app: {
      id: facts.app.id,
      name: facts.app.name,
      project: facts.app.project,
      environment: facts.app.environment,
    },
    release: row.release,
    processType: row.process_type,
    kind: row.kind as InstanceSpec['kind'],
    image: { tree: facts.image.tree, base: { name: facts.image.base_name, digest: facts.image.base_digest } },
    command: row.command ?? process?.command ?? 'exit 1',
    env: appEnvironment(facts, { name, ordinal: row.ordinal, memoryMb: row.memory_mb }, control.settings.domain),
    memoryMb: row.memory_mb,
    ...(row.cpu === null ? {} : { cpu: row.cpu }),
    health: once || !process ? { type: 'process', timeoutMs: 60_000, intervalMs: 10_000 } : process.health,
    graceMs: process?.graceMs ?? control.settings.cluster.graceMs,
    restart: once ? 'never' : 'always',
    runtime: control.settings.cluster.runtime,
    restartToken: row.restart_token,
  };
}

async function treesWorthKeeping(control: Control, appIds: readonly string[]): Promise<string[]> {
  const trees = new Set<string>();
  for (const appId of appIds) {
    const rows = await control.store.db
      .selectFrom('releases')
      .innerJoin('images', 'images.id', 'releases.image_id')
      .select('images.tree')
      .where('releases.app_id', '=', appId)
      .orderBy('releases.version', 'desc')
      .limit(keptReleases)
      .execute();
    for (const { tree } of rows) trees.add(tree);
  }
  return [...trees];
}
