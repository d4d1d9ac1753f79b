/** Endpoints of apps: list, show, push, scale, restart, stop, start, destroy, instances. */
import * as api from '../../shared/contracts/api.ts';
import { PaasError } from '../../shared/errors.ts';
import { formationOf, requireApp } from '../deploy/apps.ts';
import { endAll, endWaits, insertDeployment, presentDeployment, unfinished } from '../deploy/deployments.ts';
import { cancelUselessBuilds, changeEffects, underWay } from '../deploy/during.ts';
import { endUnplaced } from '../deploy/once.ts';
import type { Db, Trx } from '../store/open.ts';
import { endpoint, type Call, type Endpoint } from './define.ts';
import { appOf, appPath, audit, nameOf } from './naming.ts';
import { plan, push } from './push.ts';
import { restart, scale } from './scaling.ts';
import { appDetail, appSummaries, instanceRows } from './views.ts';

export const appEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v1/apps',
    summary: 'All apps, or those of a project and environment',
    role: 'viewer',
    response: api.appsResponse,
    handle: ({ control, query }) => appSummaries(control, query),
  }),
  endpoint({
    method: 'GET',
    path: appPath,
    summary: 'One app',
    role: 'viewer',
    response: api.appDetail,
    handle: async (call) => appDetail(call.control, await requireApp(call.control.store.db, nameOf(call.params))),
  }),
  endpoint({
    method: 'GET',
    path: `${appPath}/instances`,
    summary: 'Its instances',
    role: 'viewer',
    response: api.instancesResponse,
    handle: async (call) =>
      instanceRows(
        call.control,
        await requireApp(call.control.store.db, nameOf(call.params)),
        call.query['all'] === '1',
      ),
  }),
  endpoint({
    method: 'POST',
    path: `${appPath}/plans`,
    summary: 'What a push would change',
    role: 'viewer',
    body: api.pushRequest,
    response: api.pushPlan,
    handle: (call) => plan(call.control, nameOf(call.params), call.body),
  }),
  endpoint({
    method: 'POST',
    path: `${appPath}/pushes`,
    summary: 'Deploy a source tree',
    role: 'developer',
    status: 202,
    body: api.pushRequest,
    response: api.deployment,
    handle: push,
  }),
  endpoint({
    method: 'GET',
    path: `${appPath}/formation`,
    summary: 'How many of what',
    role: 'viewer',
    response: api.formation,
    handle: async (call) => formationOf(await appOf(call)),
  }),
  endpoint({
    method: 'PATCH',
    path: `${appPath}/formation`,
    summary: 'Scale',
    role: 'developer',
    body: api.scaleRequest,
    response: api.scaleResponse,
    handle: scale,
  }),
  endpoint({
    method: 'POST',
    path: `${appPath}/restart`,
    summary: 'Restart all, a process type, or one instance',
    role: 'developer',
    body: api.restartRequest,
    response: api.deploymentResponse,
    handle: restart,
  }),
  endpoint({
    method: 'POST',
    path: `${appPath}/stop`,
    summary: 'Stop it; it keeps its formation',
    role: 'developer',
    response: api.deploymentResponse,
    handle: (call) => switchState(call, 'stopped'),
  }),
  endpoint({
    method: 'POST',
    path: `${appPath}/start`,
    summary: 'Start a stopped app',
    role: 'developer',
    response: api.deploymentResponse,
    handle: (call) => switchState(call, 'active'),
  }),
  endpoint({
    method: 'DELETE',
    path: appPath,
    summary: 'Remove it with its releases, config, routes and logs',
    role: 'developer',
    status: 202,
    handle: destroy,
  }),
];

async function switchState(call: Call<unknown>, state: 'active' | 'stopped'): Promise<unknown> {
  const { control } = call;
  const app = await appOf(call);
  // A first push that is under way can be stopped, but there is nothing yet to start.
  if (app.release === null && (state === 'active' || !(await isBusy(control.store.db, app.id))))
    throw new PaasError('conflict', `${app.name} has no release yet.`, { hint: '`paas push` makes one.' });
  const kind = state === 'active' ? 'start' : 'stop';
  const answer = await call.commit(async (trx) => {
    const present = await appOf(call, trx);
    const active = await underWay(trx, present);
    // Whoever starts it wants it to run, also when the push that starts it now is taken back.
    if (kind === 'start' && active?.rollout)
      await changeEffects(trx, active.rollout, () => ({ stateBefore: 'active' }));
    if (kind === 'stop') await endUnplaced(trx, present.id);
    // A stopped app may be about to be started: by a push, say.
    if (present.state === state && (kind === 'start' || !(await isBusy(trx, app.id)))) return { deployment: null };
    if (kind === 'stop') await endAll(trx, present);
    else await endWaits(trx, present.id, 'stop');
    await trx.updateTable('apps').set({ state }).where('id', '=', app.id).execute();
    const row = await insertDeployment(trx, app.id, {
      kind,
      actor: call.principal.name,
      state: 'rolling',
      ...(present.release === null ? {} : { release: present.release }),
    });
    return { deployment: await presentDeployment(control, row, trx) };
  });
  if (answer.deployment === null) return answer;
  await cancelUselessBuilds(control, app.id);
  await audit(call, `app.${kind}`, app, kind === 'stop' ? 'stopped' : 'started', { deployment: answer.deployment.id });
  control.wake.app(app.id);
  control.wake.routes();
  return answer;
}

/** Whether something else than a stop is under way or waits. */
async function isBusy(trx: Db | Trx, appId: string): Promise<boolean> {
  const row = await trx
    .selectFrom('deployments')
    .select('id')
    .where('app_id', '=', appId)
    .where('kind', '!=', 'stop')
    .where('state', 'in', unfinished)
    .executeTakeFirst();
  return row !== undefined;
}

async function destroy(call: Call<unknown>): Promise<unknown> {
  const { control } = call;
  const app = await requireApp(control.store.db, nameOf(call.params));
  await call.commit(async (trx) => {
    await endAll(trx, await requireApp(trx, nameOf(call.params)));
    await trx.updateTable('apps').set({ state: 'destroying' }).where('id', '=', app.id).execute();
    await trx.deleteFrom('routes').where('app_id', '=', app.id).execute();
    return { app: app.name, state: 'destroying' };
  });
  await cancelUselessBuilds(control, app.id);
  await audit(call, 'app.destroy', app, 'destroy was asked for');
  control.wake.app(app.id);
  control.wake.routes();
  return { app: app.name, state: 'destroying' };
}
