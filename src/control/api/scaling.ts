/** Handlers of what changes size or incarnation without a new release: scale, restart. */
import type * as z from 'zod/mini';
import type * as api from '../../shared/contracts/api.ts';
import { PaasError } from '../../shared/errors.ts';
import { formationOf, requireApp } from '../deploy/apps.ts';
import { activate, finish, insertDeployment, presentDeployment, refuseWhileDeploying } from '../deploy/deployments.ts';
import { beginRollout } from '../deploy/release.ts';
import { scaleFormation } from '../deploy/scale.ts';
import type { ReleaseProcesses } from '../deploy/types.ts';
import type { Trx } from '../store/open.ts';
import type { AppRow } from '../store/schema.ts';
import type { Call } from './define.ts';
import { appOf, audit, nameOf } from './naming.ts';

export async function scale(call: Call<z.infer<typeof api.scaleRequest>>): Promise<unknown> {
  const { control } = call;
  const app = await appOf(call);
  const answer = await call.commit(async (trx) => {
    const present = await requireApp(trx, nameOf(call.params));
    const { formation, changed, rolls } = scaleFormation(formationOf(present), call.body, control.settings.cluster);
    if (changed.length === 0) return { formation, deployment: null, changed };
    if (rolls && present.release !== null) {
      const deployment = await rollInPlace(trx, call, present, 'scale', formation);
      return { formation, deployment, changed };
    }
    await trx
      .updateTable('apps')
      .set({ formation: JSON.stringify(formation) })
      .where('id', '=', app.id)
      .execute();
    const row = await insertDeployment(trx, app.id, {
      kind: 'scale',
      actor: call.principal.name,
      state: 'rolling',
      ...(app.release === null ? {} : { release: app.release }),
    });
    if (app.release === null) await finish(trx, row, { state: 'succeeded' });
    return { formation, deployment: await presentDeployment(control, row, trx), changed };
  });
  if (answer.changed.length > 0) {
    await audit(
      call,
      'app.scale',
      app,
      `scaled ${answer.changed.join(', ')}`,
      answer.deployment ? { deployment: answer.deployment.id } : {},
    );
  }
  control.wake.app(app.id);
  return { formation: answer.formation, deployment: answer.deployment };
}

/** A rollout of the release in force onto itself: new instances beside the old ones, so that nothing is interrupted. */
async function rollInPlace(
  trx: Trx,
  call: Call<unknown>,
  app: AppRow,
  kind: 'restart' | 'scale',
  formation = formationOf(app),
) {
  const { control } = call;
  refuseWhileDeploying(app);
  if (app.release === null)
    throw new PaasError('conflict', `${app.name} has no release yet.`, { hint: '`paas push` makes one.' });
  const release = await trx
    .selectFrom('releases')
    .selectAll()
    .where('app_id', '=', app.id)
    .where('version', '=', app.release)
    .executeTakeFirstOrThrow();
  const row = await insertDeployment(trx, app.id, {
    kind,
    actor: call.principal.name,
    state: 'rolling',
    release: app.release,
  });
  await activate(trx, app, row.id);
  await beginRollout(trx, control, app, {
    deploymentId: row.id,
    to: { release: app.release, epoch: app.epoch + 1 },
    strategy: 'rolling',
    maxInFlight: undefined,
    formation,
    manifest: null,
    routesAdd: [],
    routesRemove: [],
    processes: JSON.parse(release.processes) as ReleaseProcesses,
  });
  const stored = await trx.selectFrom('deployments').selectAll().where('id', '=', row.id).executeTakeFirstOrThrow();
  return presentDeployment(control, stored, trx);
}

export async function restart(call: Call<z.infer<typeof api.restartRequest>>): Promise<unknown> {
  const { control, body } = call;
  const app = await appOf(call);
  const one = body.instance ?? body.process;
  if (one !== undefined) return restartSome(call, app, one);
  const answer = await call.commit(async (trx) => ({
    deployment: await rollInPlace(trx, call, await requireApp(trx, nameOf(call.params)), 'restart'),
  }));
  await audit(call, 'app.restart', app, 'restarted', { deployment: answer.deployment.id });
  control.wake.app(app.id);
  return answer;
}

/** One instance, or those of one process type: each is replaced by another one, which comes first. */
async function restartSome(call: Call<unknown>, app: AppRow, which: string): Promise<unknown> {
  const { control } = call;
  const rows = await control.store.db
    .selectFrom('instances')
    .selectAll()
    .where('app_id', '=', app.id)
    .where('ended_at', 'is', null)
    .where('desired', '=', 'run')
    .where('command', 'is', null)
    .execute();
  const chosen = rows.filter((row) => which === row.process_type || which === `${row.process_type}.${row.ordinal}`);
  if (chosen.length === 0)
    throw new PaasError('not_found', `${app.name} has no running ${which}.`, {
      hint: `See \`paas ps -a ${app.name}\`.`,
    });
  const ids = chosen.map((row) => row.id);
  const answer = await call.commit(async (trx) => {
    await trx.updateTable('instances').set({ replacing: 1 }).where('id', 'in', ids).execute();
    const row = await insertDeployment(trx, app.id, {
      kind: 'restart',
      actor: call.principal.name,
      state: 'rolling',
      ...(app.release === null ? {} : { release: app.release }),
    });
    return { deployment: await presentDeployment(control, row, trx) };
  });
  await audit(call, 'app.restart', app, `restarted ${which}`, { deployment: answer.deployment.id });
  control.wake.app(app.id);
  return answer;
}
