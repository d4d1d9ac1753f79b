/** How many instances shall run: the formation, of the process types that a release has. */
import type { Db } from '../store/open.ts';
import type { AppRow } from '../store/schema.ts';
import { formationOf } from './apps.ts';
import { keptRunning } from './diff.ts';
import type { Formation, ReleaseProcesses } from './types.ts';

export const runningTypes = (processes: ReleaseProcesses): string[] =>
  Object.entries(processes).flatMap(([type, { kind }]) => (keptRunning(kind) ? [type] : []));

/** By process type. What the release does not have stays in the formation for one that has it, and does not run. */
export function targetsOf(processes: ReleaseProcesses, formation: Formation): Record<string, number> {
  return Object.fromEntries(runningTypes(processes).map((type) => [type, formation[type]?.instances ?? 0]));
}

/** By process type, of the release in force, or the one that a rollout leads to. Nothing while the app is stopped. */
export async function wantedInstances(db: Db, app: AppRow): Promise<Record<string, number>> {
  if (app.state !== 'active' || app.release === null) return {};
  const rollout = await db
    .selectFrom('rollouts')
    .select('to_release')
    .where('app_id', '=', app.id)
    .where('state', 'in', ['running', 'paused'])
    .executeTakeFirst();
  const release = await db
    .selectFrom('releases')
    .select('processes')
    .where('app_id', '=', app.id)
    .where('version', '=', rollout?.to_release ?? app.release)
    .executeTakeFirst();
  return release ? targetsOf(JSON.parse(release.processes) as ReleaseProcesses, formationOf(app)) : {};
}
