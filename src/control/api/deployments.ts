/** Endpoints of deployments and rollouts: state, live progress, pause, continue, cancel. */
import * as api from '../../shared/contracts/api.ts';
import { PaasError, type ErrorBody } from '../../shared/errors.ts';
import type { Control } from '../context.ts';
import { appFlags } from '../deploy/apps.ts';
import { endActive, presentDeployment, unfinished } from '../deploy/deployments.ts';
import { inputOf } from '../reconcile/rollouts.ts';
import { canaryOf, nextStep } from '../rollout/canary.ts';
import { canaryView } from '../rollout/view.ts';
import type { AppRow, DeploymentRow, RolloutRow } from '../store/schema.ts';
import { sameBatch } from '../../engines/port.ts';
import { endpoint, type Call, type Endpoint } from './define.ts';
import { streamDeployment } from './deployment-stream.ts';
import { appOf, appPath, audit } from './naming.ts';

async function deploymentOf(call: Call<unknown>, app: AppRow): Promise<DeploymentRow> {
  const id = call.params['deployment'] ?? '';
  const row = await call.control.store.db
    .selectFrom('deployments')
    .selectAll()
    .where('id', '=', id)
    .where('app_id', '=', app.id)
    .executeTakeFirst();
  if (row) return row;
  throw new PaasError('not_found', `${app.name} has no deployment ${id}.`);
}

export const deploymentEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: `${appPath}/deployments/:deployment`,
    summary: 'A deployment',
    role: 'viewer',
    response: api.deployment,
    handle: async (call) => presentDeployment(call.control, await deploymentOf(call, await appOf(call))),
  }),
  endpoint({
    method: 'GET',
    path: `${appPath}/deployments/:deployment/stream`,
    summary: 'Its progress as server-sent events',
    role: 'viewer',
    handle: async (call) => streamDeployment(call, await deploymentOf(call, await appOf(call))),
  }),
  endpoint({
    method: 'GET',
    path: `${appPath}/rollout`,
    summary: 'The newest rollout',
    role: 'viewer',
    response: api.rolloutResponse,
    handle: async (call) => progressOf(call.control, await appOf(call)),
  }),
  ...(['pause', 'continue', 'cancel'] as const).map((verb) =>
    endpoint({
      method: 'POST',
      path: `${appPath}/rollout/${verb}`,
      summary: `${verb} the rollout`,
      role: 'developer',
      response: api.rolloutResponse,
      handle: (call) => steer(call, verb),
    }),
  ),
];

function newestRollout(control: Control, appId: string): Promise<RolloutRow | undefined> {
  return control.store.db
    .selectFrom('rollouts')
    .selectAll()
    .where('app_id', '=', appId)
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
}

/** What was begun last counts, and what is active before it: an older rollout says nothing about either. */
async function progressOf(control: Control, app: AppRow): Promise<api.RolloutResponse> {
  const all = control.store.db.selectFrom('deployments').where('app_id', '=', app.id);
  const newest = await all.selectAll().orderBy('created_at', 'desc').orderBy('id', 'desc').limit(1).executeTakeFirst();
  const unended = all.select(['id', 'rollout_id']).where('finished_at', 'is', null);
  const open = await unended.orderBy('created_at').orderBy('id').execute();
  const active = open.find(({ id }) => id === app.active_deployment) ?? open[0];
  const isBefore = active !== undefined && active.rollout_id === null;
  const row = isBefore ? undefined : await newestRollout(control, app.id);
  return {
    rollout: row ? await rolloutView(control, app, row) : null,
    deployment: newest ? await presentDeployment(control, newest) : null,
  };
}

async function rolloutView(control: Control, app: AppRow, row: RolloutRow): Promise<api.RolloutView> {
  const { input } = await inputOf(control, app, row);
  const processes: api.RolloutView['processes'] = {};
  for (const [type, target] of Object.entries(input.newTargets)) {
    const all = input.instances.filter((instance) => instance.processType === type);
    const fresh = all.filter((instance) => sameBatch(instance, input.to));
    processes[type] = {
      target,
      newHealthy: fresh.filter((instance) => instance.state === 'healthy' && instance.ready).length,
      newTotal: fresh.length,
      oldTotal: all.length - fresh.length,
    };
  }
  const error = row.error === null ? null : (JSON.parse(row.error) as ErrorBody);
  return {
    id: row.id,
    strategy: row.strategy as api.RolloutView['strategy'],
    maxInFlight: row.max_in_flight,
    canary: canaryView(control.canaries, row),
    error: error?.message ?? null,
    errorCode: error?.code ?? null,
    state: (row.state === 'failing' ? 'cancelling' : row.state) as api.RolloutView['state'],

    from: row.from_release,
    to: row.to_release,
    startedAt: new Date(row.created_at).toISOString(),
    waitsFor: row.waits_for,
    processes,
  };
}

/** `continue` of a rollout that is not paused: a canary's step is over. */
function goOn(row: RolloutRow): { canary: string } | Record<string, never> {
  const canary = canaryOf(row);
  const next = canary && row.state === 'running' && canary.reachedAt !== null ? nextStep(canary) : null;
  return next ? { canary: JSON.stringify(next) } : {};
}

/** To whoever repeats a request that was taken. */
const unsaid: api.RolloutResponse = { rollout: null, deployment: null };

async function steer(call: Call<unknown>, verb: 'pause' | 'continue' | 'cancel'): Promise<api.RolloutResponse> {
  const { control } = call;
  const app = await appOf(call);
  const target = { pause: 'paused', continue: 'running', cancel: 'cancelling' }[verb];
  await call.commit(async (trx) => {
    const row = await trx
      .selectFrom('rollouts')
      .selectAll()
      .where('app_id', '=', app.id)
      .where('finished_at', 'is', null)
      .executeTakeFirst();
    if (row) {
      // It is on its way back already.
      if (verb === 'cancel' && row.state === 'failing') return unsaid;
      const allowed = row.state === 'running' || row.state === 'paused' || row.state === target;
      if (!allowed)
        throw new PaasError('conflict', `The rollout is ${row.state}.`, { hint: 'See `paas rollout status`.' });
      const change = { state: target, ...(verb === 'continue' ? goOn(row) : {}) };
      await trx.updateTable('rollouts').set(change).where('id', '=', row.id).execute();
      return unsaid;
    }
    const present = await appOf(call, trx);
    const deployment = await trx
      .selectFrom('deployments')
      .selectAll()
      .where('app_id', '=', app.id)
      .where('state', 'in', unfinished)
      .where((eb) =>
        present.active_deployment === null ? eb('state', '=', 'queued') : eb('id', '=', present.active_deployment),
      )
      .orderBy('created_at')
      .executeTakeFirst();
    if (!deployment || verb !== 'cancel') {
      throw new PaasError('conflict', `Nothing of ${app.name} is being rolled out.`, {
        hint: `See \`paas releases${appFlags(app)}\`.`,
      });
    }
    await endActive(trx, { ...present, active_deployment: deployment.id }, 'cancelled');
    return unsaid;
  });
  const deployment = await control.store.db
    .selectFrom('deployments')
    .selectAll()
    .where('id', '=', app.active_deployment ?? '')
    .executeTakeFirst();
  if (verb === 'cancel' && deployment?.build_id != null) await control.builds.cancel(deployment.build_id);
  await audit(call, `rollout.${verb}`, app, `rollout: ${verb}`, deployment ? { deployment: deployment.id } : {});
  control.wake.app(app.id);
  return progressOf(control, app);
}
