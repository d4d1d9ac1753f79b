/** Making releases and beginning their rollouts. */
import { newId } from '../../shared/ids.ts';
import type { BaseRef } from '../../shared/contracts/instances.ts';
import type { Control } from '../context.ts';
import { configPlace } from '../agents/assignments.ts';
import type { Trx } from '../store/open.ts';
import type { AppRow, ImageRow, ReleaseRow } from '../store/schema.ts';
import { formationOf, manifestOf } from './apps.ts';
import { endWaits } from './deployments.ts';
import { sameJson } from './diff.ts';
import type { Effects } from './effects.ts';
import type { Canary } from '../rollout/canary.ts';
import { addRoute, assignTcpPorts } from './routes.ts';
import type { Config, Formation, ManifestMemory, ReleaseProcesses } from './types.ts';

export interface ImageContent {
  tree: string;
  base: BaseRef;
  stack: string;
  env: Record<string, string>;
  profile: string;
}

/** The image with this content in the project; images are shared between releases and apps of a project. */
export async function ensureImage(trx: Trx, project: string, content: ImageContent): Promise<ImageRow> {
  const env = JSON.stringify(content.env);
  const present = await trx
    .selectFrom('images')
    .selectAll()
    .where('project', '=', project)
    .where('tree', '=', content.tree)
    .where('base_name', '=', content.base.name)
    .where('base_digest', '=', content.base.digest)
    .where('stack', '=', content.stack)
    .where('env', '=', env)
    .where('profile', '=', content.profile)
    .executeTakeFirst();
  if (present) return present;
  const { tree, base, stack, profile } = content;
  return trx
    .insertInto('images')
    .values({
      id: newId('img'),
      project,
      tree,
      base_name: base.name,
      base_digest: base.digest,
      stack,
      env,
      profile,
      created_at: Date.now(),
    })
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** Records a config version, which `applyConfig` puts in force. Answers the present one when nothing differs. */
export async function putConfig(
  trx: Trx,
  control: Pick<Control, 'sealer'>,
  app: AppRow,
  before: Config,
  after: Config,
  actor: string,
): Promise<number> {
  if (sameJson(before, after)) return app.config_version;
  const last = await trx
    .selectFrom('config_versions')
    .select('version')
    .where('app_id', '=', app.id)
    .orderBy('version', 'desc')
    .limit(1)
    .executeTakeFirst();
  const version = (last?.version ?? 0) + 1;
  const values = control.sealer.seal(JSON.stringify(after), configPlace(app.id, version));
  await trx
    .insertInto('config_versions')
    .values({ app_id: app.id, version, values, actor, created_at: Date.now() })
    .execute();
  return version;
}

/** Makes a config version the one that further changes begin with. */
export async function applyConfig(trx: Trx, appId: string, version: number): Promise<void> {
  await trx.updateTable('apps').set({ config_version: version }).where('id', '=', appId).execute();
}

export interface NewRelease {
  imageId: string;
  configVersion: number;
  processes: ReleaseProcesses;
  /** As routerColumn makes it. */
  router: string | null;
  description: string;
  actor: string;
}

export async function insertRelease(trx: Trx, appId: string, release: NewRelease): Promise<ReleaseRow> {
  const { last_release: last } = await trx
    .updateTable('apps')
    .set((eb) => ({ last_release: eb('last_release', '+', 1) }))
    .where('id', '=', appId)
    .returning('last_release')
    .executeTakeFirstOrThrow();
  return trx
    .insertInto('releases')
    .values({
      app_id: appId,
      version: last,
      image_id: release.imageId,
      config_version: release.configVersion,
      processes: JSON.stringify(release.processes),
      router: release.router,
      description: release.description,
      actor: release.actor,
      state: 'created',
      created_at: Date.now(),
    })
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** What routers do for a release. */
export async function routerOfRelease(trx: Trx, appId: string, version: number): Promise<string | null> {
  const row = await trx
    .selectFrom('releases')
    .select('router')
    .where('app_id', '=', appId)
    .where('version', '=', version)
    .executeTakeFirstOrThrow();
  return row.router;
}

export interface RolloutWish {
  deploymentId: string;
  to: { release: number; epoch: number };
  strategy: string;
  maxInFlight: number | undefined;
  /** Where the strategy is `canary`. */
  canary?: Canary | undefined;
  formation: Formation;
  manifest: ManifestMemory | null;
  routesAdd: string[];
  routesRemove: string[];
  processes: ReleaseProcesses;
}

/**
 * Begins moving `app` to another batch: formation, routes and ports take effect, and what they were is kept to undo.
 * @param app as it was before the transaction applied a config
 */
export async function beginRollout(trx: Trx, control: Control, app: AppRow, wish: RolloutWish): Promise<string> {
  const before = formationOf(app);
  const fresh = await trx
    .selectFrom('apps')
    .select('config_version')
    .where('id', '=', app.id)
    .executeTakeFirstOrThrow();
  const added: string[] = [];
  for (const route of wish.routesAdd) if (await addRoute(trx, app.id, route)) added.push(route);
  await assignTcpPorts(trx, app.id, wish.processes, control.settings.cluster.tcpPorts);
  const effects: Effects = {
    formationBefore: before,
    formationAfter: wish.formation,
    configBefore: app.config_version,
    configAfter: fresh.config_version,
    manifestBefore: wish.manifest === null ? null : manifestOf(app),
    routesAdded: added,
    routesToRemove: wish.routesRemove,
    stateBefore: app.state,
  };
  const id = newId('rol');
  // Where there is nothing old to compare with, or no other release, requests cannot be shared out.
  const isCanary = wish.canary !== undefined && app.release !== null && app.release !== wish.to.release;
  const largest = Math.max(1, ...Object.values(wish.formation).map(({ instances }) => instances));
  await trx
    .insertInto('rollouts')
    .values({
      id,
      app_id: app.id,
      deployment_id: wish.deploymentId,
      from_release: app.release,
      from_epoch: app.epoch,
      to_release: wish.to.release,
      to_epoch: wish.to.epoch,
      strategy: wish.strategy === 'canary' && !isCanary ? 'rolling' : wish.strategy,
      // A quarter at a time, as Kubernetes does by default, is quick and never doubles the app's memory.
      canary: isCanary ? JSON.stringify(wish.canary) : null,
      max_in_flight: wish.maxInFlight ?? Math.ceil(largest / 4),
      state: 'running',
      waits_for: '',
      effects: JSON.stringify(effects),
      error: null,
      created_at: Date.now(),
      finished_at: null,
    })
    .execute();
  await endWaits(trx, app.id, 'stop');
  // Nothing serves yet that the settings of a first release could disturb; others take force when they are live.
  const router = app.release === null ? await routerOfRelease(trx, app.id, wish.to.release) : null;
  await trx
    .updateTable('apps')
    .set({
      state: 'active',
      ...(app.release === null ? { router } : {}),
      formation: JSON.stringify(wish.formation),
      ...(wish.manifest === null ? {} : { manifest: JSON.stringify(wish.manifest) }),
    })
    .where('id', '=', app.id)
    .execute();
  await trx
    .updateTable('deployments')
    .set({ state: 'rolling', rollout_id: id, release: wish.to.release })
    .where('id', '=', wish.deploymentId)
    .execute();
  return id;
}
