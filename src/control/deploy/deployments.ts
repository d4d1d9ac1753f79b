/** Deployment rows: begin, supersede, end. Every change that is rolled out or waited for is one. */
import type { Deployment } from '../../shared/contracts/api.ts';
import { PaasError } from '../../shared/errors.ts';
import { newId } from '../../shared/ids.ts';
import type { Control } from '../context.ts';
import type { Db, Trx } from '../store/open.ts';
import type { AppRow, DeploymentRow } from '../store/schema.ts';
import { effectsOf, undoEffects } from './effects.ts';
import { routesOf } from './routes.ts';
import { urlOf } from './apps.ts';

export type DeploymentKind = Deployment['kind'];

export const unfinished = ['queued', 'building', 'releasing', 'rolling'] as const;

export interface NewDeployment {
  kind: DeploymentKind;
  actor: string;
  state: DeploymentRow['state'];
  /** Sealed by whoever gives it. */
  request?: string;
  release?: number;
}

export async function insertDeployment(trx: Trx, appId: string, wish: NewDeployment): Promise<DeploymentRow> {
  return trx
    .insertInto('deployments')
    .values({
      id: newId('dep'),
      app_id: appId,
      kind: wish.kind,
      state: wish.state,
      actor: wish.actor,
      request: wish.request ?? '',
      release: wish.release ?? null,
      build_id: null,
      build: null,
      rollout_id: null,
      changed: 1,
      error: null,
      created_at: Date.now(),
      finished_at: null,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
}

/**
 * Makes `next` the app's active deployment; what was under way ends as superseded and takes its effects back, so that
 * the next one is compared with what is in force. Its instances serve until others stand in for them. Answers the app
 * as it is then.
 */
export async function activate(trx: Trx, app: AppRow, next: string): Promise<AppRow> {
  if (app.active_deployment !== null && app.active_deployment !== next) {
    await trx
      .updateTable('deployments')
      .set({ state: 'superseded', finished_at: Date.now() })
      .where('id', '=', app.active_deployment)
      .where('state', 'in', unfinished)
      .execute();
    await abandonRollouts(trx, app.id, 'superseded');
  }
  return trx
    .updateTable('apps')
    .set({ active_deployment: next })
    .where('id', '=', app.id)
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** @throws PaasError locked while a deployment of the app is under way */
export function refuseWhileDeploying(app: AppRow): void {
  if (app.active_deployment === null) return;
  throw new PaasError('locked', `A deployment of ${app.name} is under way.`, {
    hint: `Wait for it, or cancel it: \`paas rollout cancel -a ${app.name}\`.`,
  });
}

/** Ends the app's unfinished rollouts where they are, and takes their effects back. */
export async function abandonRollouts(
  trx: Trx,
  appId: string,
  state: 'superseded' | 'cancelled' | 'failed',
): Promise<void> {
  const rows = await trx
    .selectFrom('rollouts')
    .selectAll()
    .where('app_id', '=', appId)
    .where('finished_at', 'is', null)
    .orderBy('created_at', 'desc')
    .execute();
  for (const row of rows) {
    await trx
      .updateTable('rollouts')
      .set({ state, finished_at: Date.now(), waits_for: '' })
      .where('id', '=', row.id)
      .execute();
    const app = await trx.selectFrom('apps').selectAll().where('id', '=', appId).executeTakeFirstOrThrow();
    await undoEffects(trx, app, effectsOf(row));
  }
}

/** Ends a deployment; the app has no active one then. */
export async function finish(
  trx: Trx,
  deployment: Pick<DeploymentRow, 'id' | 'app_id'>,
  end: { state: 'succeeded' | 'failed' | 'cancelled'; error?: PaasError; changed?: boolean },
): Promise<void> {
  await trx
    .updateTable('deployments')
    .set({
      state: end.state,
      finished_at: Date.now(),
      ...(end.error === undefined ? {} : { error: JSON.stringify(end.error) }),
      ...(end.changed === undefined ? {} : { changed: end.changed ? 1 : 0 }),
    })
    .where('id', '=', deployment.id)
    .where('state', 'in', unfinished)
    .execute();
  await trx
    .updateTable('apps')
    .set({ active_deployment: null })
    .where('id', '=', deployment.app_id)
    .where('active_deployment', '=', deployment.id)
    .execute();
}

/** A deployment as the API shows it. */
export async function presentDeployment(
  control: Control,
  row: DeploymentRow,
  db: Db | Trx = control.store.db,
): Promise<Deployment> {
  const app = await db.selectFrom('apps').selectAll().where('id', '=', row.app_id).executeTakeFirst();
  const [route] = app ? await routesOf(db, app.id) : [];
  const rollout =
    row.rollout_id === null
      ? undefined
      : await db.selectFrom('rollouts').select(['id', 'state']).where('id', '=', row.rollout_id).executeTakeFirst();
  return {
    id: row.id,
    kind: row.kind as DeploymentKind,
    app: app?.name ?? '',
    project: app?.project ?? '',
    environment: app?.environment ?? '',
    state: row.state as Deployment['state'],
    changed: row.changed === 1,
    release: row.release,
    url: route ? urlOf(route, control.routing.summary()) : null,
    build: row.build === null ? null : (JSON.parse(row.build) as Deployment['build']),
    rollout: rollout ?? null,
    error: row.error === null ? null : (JSON.parse(row.error) as Deployment['error']),
    createdAt: new Date(row.created_at).toISOString(),
    finishedAt: row.finished_at === null ? null : new Date(row.finished_at).toISOString(),
  };
}
