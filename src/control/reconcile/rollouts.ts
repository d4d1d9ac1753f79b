/** Carries the rollout machine's decisions out: counts to the engine, outcomes to the store. */
import type { ObservedInstance, Workload } from '../../engines/port.ts';
import { PaasError, type ErrorBody } from '../../shared/errors.ts';
import type { Control } from '../context.ts';
import { appFlags, formationOf } from '../deploy/apps.ts';
import { finish } from '../deploy/deployments.ts';
import { completeEffects, effectsOf, oldSize, oldTargets, undoEffects } from '../deploy/effects.ts';
import { releaseRow } from '../deploy/push.ts';
import { routerOfRelease } from '../deploy/release.ts';
import type { ReleaseProcesses } from '../deploy/types.ts';
import { runningTypes, targetsOf } from '../deploy/wanted.ts';
import { canaryOf, servedPercent, wantedPercent } from '../rollout/canary.ts';
import type { RolloutDecision, RolloutInput } from '../rollout/machine.ts';
import { withStandIns } from '../rollout/stand-ins.ts';
import type { AppRow, DeploymentRow, RolloutRow } from '../store/schema.ts';
import { judgeCanary, moveCanary } from './canaries.ts';
import { capacityProblem } from './capacity.ts';
import { hostTrouble, lastLines } from './evidence.ts';
import { decideBeside, grayWorkloads, observeStable } from './gray.ts';
import { note } from './note.ts';

export async function advanceRollout(control: Control, app: AppRow, deployment: DeploymentRow): Promise<void> {
  const row = await control.store.db
    .selectFrom('rollouts')
    .selectAll()
    .where('id', '=', deployment.rollout_id)
    .executeTakeFirstOrThrow();
  const { input, workloadOf } = await inputOf(control, app, row);
  const decision = decideBeside(app, input);
  const gray = await grayWorkloads(control, app);
  await control.engine.apply(app.id, [...withStandIns(decision.wanted, input.instances).flatMap(workloadOf), ...gray]);
  if (decision.failure) {
    const error = await unhealthy(control, app, row, decision.failure);
    await turnBack(control, app, deployment, row, error);
    return;
  }
  if (decision.state === 'running' || decision.state === 'failing' || decision.state === 'cancelling') {
    const problem = await capacityProblem(control, app.id, input.instances);
    if (problem && decision.state === 'running') return turnBack(control, app, deployment, row, problem);
    // Going back is as far as it can be; the steady state goes on trying.
    if (problem) return wentBack(control, app, deployment, row, decision.state === 'failing' ? 'failed' : 'cancelled');
  }
  const worse = decision.state === 'running' || decision.state === 'paused' ? judgeCanary(control, app, row) : null;
  if (worse) return turnBack(control, app, deployment, row, worse);
  const isOver = decision.state === 'succeeded' || decision.state === 'failed' || decision.state === 'cancelled';
  const isLate = isOver && (await routersAreLate(control, app.id));
  const waitsFor = isLate
    ? 'every router to know what leaves'
    : ((await moveCanary(control, app, deployment, row, decision)) ?? decision.waitsFor);
  if (waitsFor !== row.waits_for) {
    await control.store.db.updateTable('rollouts').set({ waits_for: waitsFor }).where('id', '=', row.id).execute();
  }
  if (isLate) return;
  if (decision.state === 'succeeded') await succeed(control, app, deployment, row);
  else if (decision.state === 'failed' || decision.state === 'cancelled')
    await wentBack(control, app, deployment, row, decision.state);
}

/**
 * Whether some connected router may still send requests to instances that leave. Until none does, a rollout is not over:
 * whoever waited for its end would be answered by the release that it has replaced.
 */
async function routersAreLate(control: Control, appId: string): Promise<boolean> {
  const { version } = control.routing.summary();
  const leaving = await control.store.db
    .selectFrom('instances')
    .select(['process_type', 'drain_version'])
    .where('app_id', '=', appId)
    .where('ended_at', 'is', null)
    .where('desired', '=', 'drain')
    .where('was_healthy', '=', 1)
    .execute();
  return leaving.some(
    ({ process_type: type, drain_version: without }) =>
      control.routing.isTarget(appId, type) && (without === null || without > version),
  );
}

/** The machine's input, and how a decision's counts become workloads. */
export async function inputOf(control: Control, app: AppRow, row: RolloutRow) {
  const to = { release: row.to_release, epoch: row.to_epoch };
  const from = row.from_release === null ? null : { release: row.from_release, epoch: row.from_epoch };
  const canary = canaryOf(row);
  const effects = effectsOf(row);
  const formation = formationOf(app);
  const newProcesses = await processesOf(control, app.id, to.release);
  const oldProcesses = from ? await processesOf(control, app.id, from.release) : {};
  const instances = await observeStable(control, app);
  const input: RolloutInput = {
    state: row.state as RolloutInput['state'],
    strategy: row.strategy === 'recreate' ? 'recreate' : 'rolling',
    maxInFlight: row.max_in_flight,
    canaryPercent: canary ? wantedPercent(canary) : undefined,
    servedPercent: canary ? servedPercent(canary) : undefined,
    from,
    to,
    newTargets: targetsOf(newProcesses, formation),
    oldTargets: oldTargets(effects, formation, runningTypes(oldProcesses)),
    instances,
    routed: await control.routing.reaching(app.id),
  };
  const workloadOf = (wanted: RolloutDecision['wanted'][number]): Workload[] => {
    const old = from !== null && wanted.release === from.release && wanted.epoch === from.epoch;
    const size = (old ? oldSize(effects, formation, wanted.processType) : undefined) ?? formation[wanted.processType];
    const both = old ? [oldProcesses, newProcesses] : [newProcesses, oldProcesses];
    const kind = both.map((processes) => processes[wanted.processType]).find((process) => process)?.kind;
    if (!size || !kind) return [];
    return [{ ...wanted, kind, memoryMb: size.memoryMb, cpu: size.cpu }];
  };
  return { input, workloadOf };
}

async function processesOf(control: Control, appId: string, version: number): Promise<ReleaseProcesses> {
  const release = await releaseRow(control, appId, version);
  return release ? (JSON.parse(release.processes) as ReleaseProcesses) : {};
}

async function succeed(control: Control, app: AppRow, deployment: DeploymentRow, row: RolloutRow): Promise<void> {
  const done = await control.store.transaction(async (trx) => {
    const changed = await trx
      .updateTable('rollouts')
      .set({ state: 'succeeded', finished_at: Date.now(), waits_for: '' })
      .where('id', '=', row.id)
      .where('state', '=', 'running')
      .executeTakeFirst();
    if (changed.numUpdatedRows === 0n) return false;
    const router = await routerOfRelease(trx, app.id, row.to_release);
    await trx
      .updateTable('apps')
      .set({ release: row.to_release, epoch: row.to_epoch, router })
      .where('id', '=', app.id)
      .execute();
    await trx
      .updateTable('releases')
      .set({ state: 'live' })
      .where('app_id', '=', app.id)
      .where('version', '=', row.to_release)
      .execute();
    await completeEffects(trx, app.id, effectsOf(row));
    await finish(trx, deployment, { state: 'succeeded' });
    return true;
  });
  if (!done) return;
  await note(control, app, deployment, 'deployment.succeeded', `v${row.to_release} is live`);
  control.wake.routes();
  control.wake.app(app.id);
}

/** Begins the way back, remembering why. */
async function turnBack(
  control: Control,
  app: AppRow,
  deployment: DeploymentRow,
  row: RolloutRow,
  error: PaasError,
): Promise<void> {
  await control.store.db
    .updateTable('rollouts')
    .set({ state: 'failing', error: JSON.stringify(error), waits_for: 'going back' })
    .where('id', '=', row.id)
    .where('state', 'in', ['running', 'paused'])
    .execute();
  control.canaries.forget(row.id);
  const back = row.from_release === null ? 'Nothing was running before.' : `Going back to v${row.from_release}.`;
  await note(control, app, deployment, 'rollout.failing', `v${row.to_release}: ${error.message} ${back}`);
  control.wake.app(app.id);
}

async function wentBack(
  control: Control,
  app: AppRow,
  deployment: DeploymentRow,
  row: RolloutRow,
  state: 'failed' | 'cancelled',
): Promise<void> {
  const failed = state === 'failed';
  const stored = await control.store.db
    .selectFrom('rollouts')
    .select('error')
    .where('id', '=', row.id)
    .executeTakeFirst();
  const error = failed && stored?.error ? revive(stored.error) : undefined;
  const ended = await control.store.transaction(async (trx) => {
    const changed = await trx
      .updateTable('rollouts')
      .set({ state, finished_at: Date.now(), waits_for: '' })
      .where('id', '=', row.id)
      .where('finished_at', 'is', null)
      .executeTakeFirst();
    if (changed.numUpdatedRows === 0n) return false;
    if (row.to_release !== row.from_release) {
      await trx
        .updateTable('releases')
        .set({ state: 'failed' })
        .where('app_id', '=', app.id)
        .where('version', '=', row.to_release)
        .where('state', '=', 'created')
        .execute();
    }
    const present = await trx.selectFrom('apps').selectAll().where('id', '=', app.id).executeTakeFirstOrThrow();
    await undoEffects(trx, present, effectsOf(row));
    await finish(trx, deployment, { state, ...(error ? { error } : {}) });
    return true;
  });
  if (!ended) return;
  const text = failed ? `v${row.to_release} failed` : `the rollout of v${row.to_release} was cancelled`;
  const serves = row.from_release === null ? '' : `; v${row.from_release} serves`;
  await note(control, app, deployment, `deployment.${state}`, text + serves);
  control.wake.routes();
  control.wake.app(app.id);
}

function revive(json: string): PaasError {
  const body = JSON.parse(json) as ErrorBody;
  return new PaasError(body.code, body.message, body);
}

async function unhealthy(
  control: Control,
  app: AppRow,
  row: RolloutRow,
  failure: { instance: ObservedInstance; reason: string },
): Promise<PaasError> {
  const { instance, reason } = failure;
  const name = `${instance.processType}.${instance.ordinal}`;
  const lines = await lastLines(control, app.id, { instance: instance.id, n: 20 });
  const serves = row.from_release === null ? 'Nothing was running before' : `v${row.from_release} still serves`;
  const trouble = hostTrouble(instance);
  const what = trouble ? 'cannot start' : 'did not become healthy';
  const todo = trouble?.hint ?? `Read more: \`paas logs${appFlags(app)} --instance ${name} -n 200\`.`;
  return new PaasError(trouble?.code ?? 'unhealthy', `${name} of v${row.to_release} ${what}: ${reason}.`, {
    hint: `${serves}. ${todo}`,
    details: { instance: name, release: row.to_release, reason, lastLines: lines },
  });
}
