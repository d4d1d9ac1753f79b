/** Deployment rows: begin, supersede, end. Every change that is rolled out or waited for is one. */
import type { Deployment } from '../../shared/contracts/api.ts';
import type { PaasError } from '../../shared/errors.ts';
import { newId } from '../../shared/ids.ts';
import type { Control } from '../context.ts';
import type { Db, Trx } from '../store/open.ts';
import type { AppRow, DeploymentRow } from '../store/schema.ts';
import { effectsOf, undoEffects } from './effects.ts';
import { discardRelease, replaceRunning } from './during.ts';
import { endOnce } from './once.ts';
import { routesOf } from './routes.ts';
import { urlOf } from './apps.ts';

export type DeploymentKind = Deployment['kind'];

export const unfinished = ['queued', 'building', 'releasing', 'rolling'] as const;

export interface NewDeployment {
  kind: DeploymentKind;
  actor: string;
  state: DeploymentRow['state'];
  /** Of a push: all of it, sealed by whoever gives it. Of a scale or restart: process types, as JSON. */
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
  if (app.active_deployment !== next) await endActive(trx, app, 'superseded');
  await endWaits(trx, app.id, 'rollback', ({ id }) => id !== next);
  return trx
    .updateTable('apps')
    .set({ active_deployment: next })
    .where('id', '=', app.id)
    .returningAll()
    .executeTakeFirstOrThrow();
}

/**
 * Ends the app's active deployment where it stands: its rollout, its effects, its release command. One that was on its
 * way back already ends as what it was going to be, with its reason.
 */
export async function endActive(trx: Trx, app: AppRow, state: 'superseded' | 'cancelled'): Promise<void> {
  const { active_deployment: id } = app;
  if (id === null) return;
  const rollout = await trx
    .selectFrom('rollouts')
    .select(['state', 'error'])
    .where('deployment_id', '=', id)
    .where('finished_at', 'is', null)
    .executeTakeFirst();
  const failing = rollout?.state === 'failing';
  const end = failing ? 'failed' : rollout?.state === 'cancelling' ? 'cancelled' : state;
  await trx
    .updateTable('deployments')
    .set({ state: end, finished_at: Date.now(), ...(failing ? { error: rollout.error } : {}) })
    .where('id', '=', id)
    .where('state', 'in', unfinished)
    .execute();
  await trx.updateTable('apps').set({ active_deployment: null }).where('id', '=', app.id).execute();
  const { release, kind } = await trx
    .selectFrom('deployments')
    .select(['release', 'kind'])
    .where('id', '=', id)
    .executeTakeFirstOrThrow();
  if (release !== null && release !== app.release) await discardRelease(trx, app.id, release);
  await endOnce(trx, app.id, id);
  // What was scaled by hand stays; the instances that have not got it yet get it beside what comes.
  const isScaled = kind === 'scale' && end === 'superseded';
  if (isScaled) await replaceRunning(trx, app.id);
  await abandonRollouts(trx, app.id, end, isScaled ? 'keep' : 'undo');
}

/** Who waits for what is no longer asked for is told so: it may never come true, or has only for a moment. */
export async function endWaits(
  trx: Trx,
  appId: string,
  kind: 'rollback' | 'scale' | 'stop',
  isOutdated: (waiting: DeploymentRow) => boolean = () => true,
): Promise<void> {
  const waiting = await trx
    .selectFrom('deployments')
    .selectAll()
    .where('app_id', '=', appId)
    .where('kind', '=', kind)
    .where('state', '=', 'rolling')
    .where('rollout_id', 'is', null)
    .execute();
  const ids = waiting.filter(isOutdated).map(({ id }) => id);
  if (ids.length === 0) return;
  const ended = { state: 'superseded', finished_at: Date.now() } as const;
  await trx.updateTable('deployments').set(ended).where('id', 'in', ids).execute();
}

/** The process types that a scale or restart speaks of; null: all. */
export const askedTypes = ({ kind, request }: Pick<DeploymentRow, 'kind' | 'request'>): string[] | null =>
  (kind === 'scale' || kind === 'restart') && request !== '' ? (JSON.parse(request) as string[]) : null;

/** Ends everything that is under way or waits: the app stops or goes. */
export async function endAll(trx: Trx, app: AppRow): Promise<void> {
  await endActive(trx, app, 'cancelled');
  await trx
    .updateTable('deployments')
    .set({ state: 'cancelled', finished_at: Date.now() })
    .where('app_id', '=', app.id)
    .where('state', 'in', unfinished)
    .execute();
}

/** Ends the app's unfinished rollouts where they are, and takes their effects back unless they are kept. */
export async function abandonRollouts(
  trx: Trx,
  appId: string,
  state: 'superseded' | 'cancelled' | 'failed',
  effects: 'undo' | 'keep' = 'undo',
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
    if (effects === 'keep') continue;
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
