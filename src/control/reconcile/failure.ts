import type { PaasError } from '../../shared/errors.ts';
import type { Control } from '../context.ts';
import { abandonRollouts, finish } from '../deploy/deployments.ts';
import { endOnce } from '../deploy/once.ts';
import type { AppRow, DeploymentRow } from '../store/schema.ts';

/** Ends a deployment with an error that people can act on; the release in force goes on. */
export async function failDeployment(
  control: Control,
  app: AppRow,
  deployment: DeploymentRow,
  error: PaasError,
): Promise<void> {
  await control.store.transaction(async (trx) => {
    const { active_deployment: active } = await trx
      .selectFrom('apps')
      .select('active_deployment')
      .where('id', '=', app.id)
      .executeTakeFirstOrThrow();
    // Another deployment may have superseded it meanwhile: the app's rollouts are that one's then.
    if (active === deployment.id) await abandonRollouts(trx, app.id, 'failed');
    await endOnce(trx, app.id, deployment.id);
    await finish(trx, deployment, { state: 'failed', error });
    if (deployment.release !== null && deployment.release !== app.release) {
      await trx
        .updateTable('releases')
        .set({ state: 'failed' })
        .where('app_id', '=', app.id)
        .where('version', '=', deployment.release)
        .execute();
    }
  });
  await control.events.record({
    kind: 'deployment.failed',
    actor: 'platform',
    app: { id: app.id, name: app.name },
    deployment: deployment.id,
    message: `${deployment.kind} failed: ${error.message}`,
    details: { code: error.code, hint: error.hint },
  });
  control.wake.app(app.id);
}
