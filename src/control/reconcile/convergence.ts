/** Deployments that only wait (scale, start, stop): are they there yet? */
import { PaasError } from '../../shared/errors.ts';
import type { Control } from '../context.ts';
import { finish } from '../deploy/deployments.ts';
import { wantedInstances } from '../deploy/wanted.ts';
import { failureOf } from '../rollout/machine.ts';
import type { DeploymentRow } from '../store/schema.ts';
import { capacityProblem } from './capacity.ts';
import { hostTrouble, lastLines } from './evidence.ts';
import { lookBeside, stableOf } from './gray.ts';

export async function judgeConvergence(
  control: Control,
  appId: string,
  waiting: readonly DeploymentRow[],
): Promise<void> {
  if (waiting.length === 0) return;
  const app = await control.store.db.selectFrom('apps').selectAll().where('id', '=', appId).executeTakeFirst();
  if (!app) return;
  const { instances: all } = await control.engine.observe(appId);
  const instances = stableOf(app, all);
  const staying = instances.filter((instance) => !instance.leaving);
  const wanted = Object.entries(await wantedInstances(control.store.db, app));
  const stopped = app.state !== 'active' || app.release === null;
  const reached = wanted.every(([type, target]) => {
    const routed = staying.filter(
      (i) => i.processType === type && i.state === 'healthy' && i.ready && control.routing.reaches(appId, i),
    );
    return routed.length >= target;
  });
  // During a rollout old and new stand side by side; outside of it, nothing may be left that is on its way out.
  const rolling = app.active_deployment !== null;
  const quiet =
    !staying.some((i) => i.replacing) &&
    (rolling || (instances.length === staying.length && (!stopped || staying.length === 0)));
  // What becomes of the new release's own instances is the rollout's matter: it goes back by itself.
  const failing = staying.find(
    (i) => !i.wasHealthy && failureOf(i) !== null && (!rolling || (i.release === app.release && i.epoch === app.epoch)),
  );
  for (const deployment of waiting) {
    const isBack = deployment.kind !== 'rollback' || !rolling;
    const beside = await lookBeside(control, app, deployment);
    const { there, failed } = beside ?? { there: reached && quiet && isBack, failed: failing };
    if (there) await end(control, deployment);
    else if (failed && !stopped) {
      const name = `${failed.processType}.${failed.ordinal}`;
      const lines = await lastLines(control, appId, { instance: failed.id, n: 20 });
      const trouble = hostTrouble(failed);
      const what = trouble ? 'cannot start' : 'does not become healthy';
      const todo = trouble?.hint ?? `Read \`paas logs -a ${app.name} --instance ${name}\`.`;
      const text = `${name} of v${failed.release} ${what}: ${failureOf(failed) ?? ''}.`;
      const error = new PaasError(trouble?.code ?? 'unhealthy', text, {
        hint: `It is tried again and again. ${todo}`,
        details: { instance: name, lastLines: lines },
      });
      await end(control, deployment, error);
    } else {
      const problem = await capacityProblem(control, appId, all);
      if (problem) await end(control, deployment, problem);
    }
  }
}

async function end(control: Control, deployment: DeploymentRow, error?: PaasError): Promise<void> {
  const app = await control.store.db
    .selectFrom('apps')
    .select(['id', 'name'])
    .where('id', '=', deployment.app_id)
    .executeTakeFirstOrThrow();
  await control.store.transaction((trx) =>
    finish(trx, deployment, error ? { state: 'failed', error } : { state: 'succeeded' }),
  );
  await control.events.record({
    kind: error ? 'deployment.failed' : 'deployment.succeeded',
    actor: 'platform',
    app,
    deployment: deployment.id,
    message: error ? `${deployment.kind}: ${error.message}` : `${deployment.kind} is done`,
  });
}
