/**
 * What commands do to a deployment that is under way, besides ending it (deployments.ts):
 *
 *   join        scale, restart, routes: they act on old and new alike, and the rollout goes on
 *   go before   config set, restart, scale of memory: a push that has not begun to roll out waits until they are done
 *   take over   config set: what the rollout was leading to, with the change, is what is rolled out from now on
 */
import type { Control } from '../context.ts';
import { anew, type Canary } from '../rollout/canary.ts';
import type { Trx } from '../store/open.ts';
import type { AppRow, DeploymentRow, RolloutRow } from '../store/schema.ts';
import { formationOf, manifestOf } from './apps.ts';
import { effectsOf, type Effects } from './effects.ts';
import type { RolloutWish } from './release.ts';
import type { Formation } from './types.ts';

export interface UnderWay {
  deployment: DeploymentRow;
  /** null: it has not begun to roll out. */
  rollout: RolloutRow | null;
  /** It is on its way back: it failed, or somebody cancelled it. */
  goesBack: boolean;
}

/** The app's active deployment, if there is one that has not ended. */
export async function underWay(trx: Trx, app: AppRow): Promise<UnderWay | null> {
  if (app.active_deployment === null) return null;
  const deployment = await trx
    .selectFrom('deployments')
    .selectAll()
    .where('id', '=', app.active_deployment)
    .where('finished_at', 'is', null)
    .executeTakeFirst();
  if (!deployment) return null;
  const rollout = await trx
    .selectFrom('rollouts')
    .selectAll()
    .where('app_id', '=', app.id)
    .where('finished_at', 'is', null)
    .executeTakeFirst();
  const goesBack = rollout?.state === 'failing' || rollout?.state === 'cancelling';
  return { deployment, rollout: rollout ?? null, goesBack };
}

/**
 * A push that has not begun to roll out waits in the queue, ahead of later ones: its build goes on meanwhile, a release
 * command that ran is not run again, and what it means is compared anew when its turn comes.
 */
export async function setAside(trx: Trx, app: AppRow): Promise<AppRow> {
  const active = await underWay(trx, app);
  if (!active || active.rollout) return app;
  const { id, release } = active.deployment;
  await trx.updateTable('deployments').set({ state: 'queued', release: null }).where('id', '=', id).execute();
  if (release !== null) await discardRelease(trx, app.id, release);
  return trx
    .updateTable('apps')
    .set({ active_deployment: null })
    .where('id', '=', app.id)
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** A release that was made and never served. */
export async function discardRelease(trx: Trx, appId: string, version: number): Promise<void> {
  await trx
    .updateTable('releases')
    .set({ state: 'failed' })
    .where('app_id', '=', appId)
    .where('version', '=', version)
    .where('state', '=', 'created')
    .execute();
}

/** Pushes that wait would bring older code than what was just asked for. */
export async function supersedeQueued(trx: Trx, appId: string): Promise<void> {
  await trx
    .updateTable('deployments')
    .set({ state: 'superseded', finished_at: Date.now() })
    .where('app_id', '=', appId)
    .where('state', '=', 'queued')
    .execute();
}

/** Changes what the rollout under way takes back when it fails or is cancelled. */
export async function changeEffects(
  trx: Trx,
  rollout: RolloutRow,
  change: (effects: Effects) => Partial<Effects>,
): Promise<void> {
  const effects = effectsOf(rollout);
  const changed = JSON.stringify({ ...effects, ...change(effects) });
  await trx.updateTable('rollouts').set({ effects: changed }).where('id', '=', rollout.id).execute();
}

/** What of a process type somebody asked for by hand; what is not here, they said nothing about. */
export type Asked = Partial<Pick<Formation[string], 'instances' | 'memoryMb' | 'cpu'>>;

/** What was scaled by hand holds for the old release too, however the rollout ends; the push's own numbers do not. */
export function scaleBoth(effects: Effects, asked: Readonly<Record<string, Asked>>): Partial<Effects> {
  const put = (formation: Formation): Formation => {
    const changed = { ...formation };
    for (const [type, wish] of Object.entries(asked)) {
      const present = formation[type];
      if (present) changed[type] = { ...present, ...wish };
    }
    return changed;
  };
  return { formationBefore: put(effects.formationBefore), formationAfter: put(effects.formationAfter) };
}

/** Instances that stay are replaced one by one, each by a fresh one of its own release and the present size. */
export async function replaceRunning(trx: Trx, appId: string, types?: readonly string[]): Promise<void> {
  let update = trx
    .updateTable('instances')
    .set({ replacing: 1 })
    .where('app_id', '=', appId)
    .where('ended_at', 'is', null)
    .where('desired', '=', 'run')
    .where('command', 'is', null);
  if (types) update = update.where('process_type', 'in', types);
  await update.execute();
}

/** What a rollout that takes another one's place has of it: how it goes, and what it changes besides its instances. */
export function carriedOn(app: AppRow, rollout: RolloutRow): Omit<RolloutWish, 'deploymentId' | 'to' | 'processes'> {
  const effects = effectsOf(rollout);
  const canary = rollout.canary === null ? undefined : anew(JSON.parse(rollout.canary) as Canary);
  return {
    strategy: rollout.strategy,
    maxInFlight: rollout.max_in_flight,
    canary,
    formation: formationOf(app),
    manifest: effects.manifestBefore === null ? null : manifestOf(app),
    routesAdd: effects.routesAdded,
    routesRemove: effects.routesToRemove,
  };
}

/** An epoch in which no instance of the release in force is: what an earlier attempt left is not taken for new. */
export async function nextEpoch(trx: Trx, app: AppRow): Promise<number> {
  const newest = await trx
    .selectFrom('instances')
    .select('epoch')
    .where('app_id', '=', app.id)
    .where('release', '=', app.release)
    .where('ended_at', 'is', null)
    .orderBy('epoch', 'desc')
    .limit(1)
    .executeTakeFirst();
  return Math.max(app.epoch, newest?.epoch ?? 0) + 1;
}

/** Builds of deployments that ended without them are of no use any more. */
export async function cancelUselessBuilds(control: Control, appId: string): Promise<void> {
  const rows = await control.store.db
    .selectFrom('deployments')
    .innerJoin('builds', 'builds.id', 'deployments.build_id')
    .select('builds.id')
    .where('deployments.app_id', '=', appId)
    .where('deployments.state', 'in', ['superseded', 'cancelled'])
    .where('builds.state', 'in', ['queued', 'running'])
    .execute();
  for (const { id } of rows) await control.builds.cancel(id);
}
