/** Deployments that only wait (scale, start, stop): are they there yet? */
import { PaasError } from '../../shared/errors.ts';
import type { Control } from '../context.ts';
import { appFlags } from '../deploy/apps.ts';
import { askedTypes, finish } from '../deploy/deployments.ts';
import { wantedInstances } from '../deploy/wanted.ts';
import { failureOf } from '../rollout/machine.ts';
import type { DeploymentRow } from '../store/schema.ts';
import { capacityProblem } from './capacity.ts';
import { hostTrouble, lastLines } from './evidence.ts';
import { lookBeside, stableOf } from './gray.ts';
import { judgeTargets } from './targets.ts';

export async function judgeConvergence(
  control: Control,
  appId: string,
  waiting: readonly DeploymentRow[],
): Promise<void> {
  if (waiting.length === 0) return;
  const app = await control.store.db.selectFrom('apps').selectAll().where('id', '=', appId).executeTakeFirst();
  if (!app) return;
  const { instances: all } = await control.engine.observe(appId);
  const stable = stableOf(app, all);
  const wanted = await wantedInstances(control.store.db, app);
  const serves = await control.routing.reaching(appId);
  const stopped = app.state !== 'active' || app.release === null;
  // During a rollout old and new stand side by side; outside of it, nothing may be left that is on its way out.
  const rolling = app.active_deployment !== null;
  const look = (isMeant: (type: string) => boolean) => {
    const instances = stable.filter((i) => isMeant(i.processType));
    const staying = instances.filter((i) => !i.leaving);
    const quiet =
      !staying.some((i) => i.replacing) &&
      (rolling || (instances.length === staying.length && (!stopped || staying.length === 0)));
    const targets = Object.fromEntries(Object.entries(wanted).filter(([type]) => isMeant(type)));
    const { reached, failed } = judgeTargets(staying, targets, {
      serves,
      // What becomes of the new release's own instances is the rollout's matter: it goes back by itself.
      counts: (i) => !rolling || (i.release === app.release && i.epoch === app.epoch),
    });
    return { there: reached && quiet, failed };
  };
  for (const deployment of waiting) {
    // What becomes of process types that it did not speak of does not hold it up.
    const types = askedTypes(deployment);
    const isMeant = (type: string): boolean => types === null || types.includes(type);
    const isBack = deployment.kind !== 'rollback' || !rolling;
    const { there, failed } = lookBeside(app, deployment, all, serves) ?? look(isMeant);
    if (there && isBack) await end(control, deployment);
    else if (failed && !stopped) {
      const name = `${failed.processType}.${failed.ordinal}`;
      const lines = await lastLines(control, appId, { instance: failed.id, n: 20 });
      const trouble = hostTrouble(failed);
      const what = trouble ? 'cannot start' : `does not ${failed.wasHealthy ? 'stay' : 'become'} healthy`;
      const todo = trouble?.hint ?? `Read \`paas logs${appFlags(app)} --instance ${name}\`.`;
      const text = `${name} of v${failed.release} ${what}: ${failureOf(failed) ?? ''}.`;
      const error = new PaasError(trouble?.code ?? 'unhealthy', text, {
        hint: `It is tried again and again. ${todo}`,
        details: { instance: name, lastLines: lines },
      });
      await end(control, deployment, error);
    } else {
      const problem = await capacityProblem(
        control,
        appId,
        all.filter((i) => isMeant(i.processType)),
      );
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
