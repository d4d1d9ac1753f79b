/**
 * What a rollout changes besides its instances: applied in full when it succeeds, taken back when it fails or is
 * cancelled, so that a failed push leaves formation, config, routes and the memory of the manifest as they were.
 */
import type { Trx } from '../store/open.ts';
import type { AppRow, RolloutRow } from '../store/schema.ts';
import { formationOf } from './apps.ts';
import { sameJson } from './diff.ts';
import type { Formation, ManifestMemory } from './types.ts';
import { removeRoute } from './routes.ts';

export interface Effects {
  formationBefore: Formation;
  /** As the rollout set it: what someone changed since then is not taken back. */
  formationAfter: Formation;
  configBefore: number;
  configAfter: number;
  manifestBefore: ManifestMemory | null;
  routesAdded: string[];
  /** Routes that the manifest no longer has: they go when the new release is in force. */
  routesToRemove: string[];
  stateBefore: string;
}

export const effectsOf = (rollout: Pick<RolloutRow, 'effects'>): Effects => JSON.parse(rollout.effects) as Effects;

export async function completeEffects(trx: Trx, appId: string, effects: Effects): Promise<void> {
  for (const route of effects.routesToRemove) await removeRoute(trx, appId, route);
}

export async function undoEffects(trx: Trx, app: AppRow, effects: Effects): Promise<void> {
  const formation: Formation = {};
  const present = formationOf(app);
  const types = app.release === null ? Object.keys(present) : Object.keys(effects.formationBefore);
  for (const type of types) {
    const now = present[type];
    const before = effects.formationBefore[type];
    const untouched = now === undefined || sameJson(now, effects.formationAfter[type]);
    const value = untouched ? (before ?? now) : now;
    if (value) formation[type] = value;
  }
  const configUntouched = app.config_version === effects.configAfter && app.release !== null;
  await trx
    .updateTable('apps')
    .set({
      formation: JSON.stringify(formation),
      ...(configUntouched ? { config_version: effects.configBefore } : {}),
      ...(effects.manifestBefore === null ? {} : { manifest: JSON.stringify(effects.manifestBefore) }),
    })
    .where('id', '=', app.id)
    .execute();
  // The address of a first push stays: it says what is wrong with the app, and the next push uses it.
  if (app.release !== null) for (const route of effects.routesAdded) await removeRoute(trx, app.id, route);
}

/** How many instances of the old batch make its full strength: as before, unless someone has scaled since. */
export function oldTargets(effects: Effects, present: Formation, types: readonly string[]): Record<string, number> {
  const targets: Record<string, number> = {};
  for (const type of types) {
    const before = effects.formationBefore[type]?.instances ?? 0;
    const scaled = present[type] !== undefined && present[type].instances !== effects.formationAfter[type]?.instances;
    targets[type] = scaled ? (present[type]?.instances ?? before) : before;
  }
  return targets;
}
