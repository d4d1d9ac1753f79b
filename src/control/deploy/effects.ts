/**
 * What a rollout changes besides its instances: applied in full when it succeeds, taken back when it fails or is
 * cancelled, so that a failed push leaves formation, config, routes and the memory of the manifest as they were.
 */
import type { Trx } from '../store/open.ts';
import type { AppRow, RolloutRow } from '../store/schema.ts';
import { formationOf } from './apps.ts';
import { own } from './diff.ts';
import type { Formation, ManifestMemory } from './types.ts';
import { dropTcpPorts, removeRoute } from './routes.ts';

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

/**
 * What process types had that a release since then was without: it comes back with them. Known for as long as rollouts
 * are kept (retention).
 */
export async function formerFormation(trx: Trx, appId: string, types: readonly string[]): Promise<Formation> {
  const found: Formation = {};
  if (types.length === 0) return found;
  const rollouts = trx.selectFrom('rollouts').select('effects').where('app_id', '=', appId);
  for (const row of await rollouts.orderBy('created_at', 'desc').orderBy('id', 'desc').execute()) {
    const { formationBefore } = effectsOf(row);
    for (const type of types) {
      const former = own(formationBefore, type);
      if (former && !own(found, type)) found[type] = former;
    }
    if (types.every((type) => own(found, type))) break;
  }
  return found;
}

/** After the new release was put in force. */
export async function completeEffects(trx: Trx, appId: string, effects: Effects): Promise<void> {
  for (const route of effects.routesToRemove) await removeRoute(trx, appId, route);
  const { release } = await trx.selectFrom('apps').select('release').where('id', '=', appId).executeTakeFirstOrThrow();
  if (release !== null) await dropTcpPorts(trx, appId, release);
}

export async function undoEffects(trx: Trx, app: AppRow, effects: Effects): Promise<void> {
  const configUntouched = app.config_version === effects.configAfter && app.release !== null;
  const stopped = effects.stateBefore === 'stopped' && app.state === 'active';
  await trx
    .updateTable('apps')
    .set({
      formation: JSON.stringify(formationUndone(formationOf(app), effects, app.release === null)),
      ...(configUntouched ? { config_version: effects.configBefore } : {}),
      ...(effects.manifestBefore === null ? {} : { manifest: JSON.stringify(effects.manifestBefore) }),
      ...(stopped ? { state: 'stopped' } : {}),
    })
    .where('id', '=', app.id)
    .execute();
  // The address of a first push stays: it says what is wrong with the app, and the next push uses it.
  if (app.release === null) return;
  for (const route of effects.routesAdded) await removeRoute(trx, app.id, route);
  await dropTcpPorts(trx, app.id, app.release);
}

/** What was before, except each number that someone has changed since. A first release that failed keeps its own. */
function formationUndone(present: Formation, effects: Effects, isFirst: boolean): Formation {
  const formation: Formation = {};
  for (const type of Object.keys(isFirst ? present : effects.formationBefore)) {
    const now = present[type];
    const before = effects.formationBefore[type];
    if (!before) {
      if (now) formation[type] = now;
      continue;
    }
    const { instances } = scaledSince(effects, present, type) ?? before;
    formation[type] = { ...before, instances, ...oldSize(effects, present, type) };
  }
  return formation;
}

const scaledSince = (effects: Effects, present: Formation, type: string): Formation[string] | undefined =>
  present[type] !== undefined && present[type].instances !== effects.formationAfter[type]?.instances
    ? present[type]
    : undefined;

/** How many instances of the old batch make its full strength: as before, unless someone has scaled since. */
export function oldTargets(effects: Effects, present: Formation, types: readonly string[]): Record<string, number> {
  const targets: Record<string, number> = {};
  for (const type of types) {
    const { instances } = scaledSince(effects, present, type) ?? effects.formationBefore[type] ?? { instances: 0 };
    // What was stopped before is not started for the sake of a rollout.
    targets[type] = effects.stateBefore === 'stopped' ? 0 : instances;
  }
  return targets;
}

/** Memory and cpu of an instance of the old batch: a push's own apply to the new one only, what was scaled since to both. */
export function oldSize(
  effects: Effects,
  present: Formation,
  type: string,
): { memoryMb: number; cpu: number | null } | undefined {
  const before = effects.formationBefore[type];
  const after = effects.formationAfter[type];
  const now = present[type];
  if (!before) return undefined;
  return {
    memoryMb: now && now.memoryMb !== after?.memoryMb ? now.memoryMb : before.memoryMb,
    cpu: now && now.cpu !== after?.cpu ? now.cpu : before.cpu,
  };
}
