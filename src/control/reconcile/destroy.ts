import type { Control } from '../context.ts';
import { leave, raiseGenerations } from '../store/instances.ts';
import type { AppRow } from '../store/schema.ts';

/**
 * Removes a destroyed app's rows once none of its instances is left; the events stay. Its routes and ports go first: an
 * instance is not over before the routers have a table without it, which by this is one without them.
 */
export async function finishDestroy(control: Control, app: AppRow): Promise<void> {
  const { db } = control.store;
  await control.store.transaction(async (trx) => {
    for (const table of ['routes', 'tcp_ports'] as const)
      await trx.deleteFrom(table).where('app_id', '=', app.id).execute();
    const staying = await trx
      .selectFrom('instances')
      .select('id')
      .where('app_id', '=', app.id)
      .where('ended_at', 'is', null)
      .where((eb) => eb.or([eb('desired', '=', 'run'), eb('host_id', 'is', null)]))
      .execute();
    const ids = staying.map(({ id }) => id);
    await raiseGenerations(trx, await leave(trx, ids));
  });
  const builds = await db.selectFrom('builds').select('id').where('app_id', '=', app.id).execute();
  for (const { id } of builds) await control.builds.cancel(id);
  const left = await db
    .selectFrom('instances')
    .select('id')
    .where('app_id', '=', app.id)
    .where('ended_at', 'is', null)
    .executeTakeFirst();
  if (left) {
    control.wake.routes();
    return;
  }
  await control.store.transaction(async (trx) => {
    for (const table of ['cron_runs', 'instances', 'rollouts', 'deployments', 'builds'] as const) {
      await trx.deleteFrom(table).where('app_id', '=', app.id).execute();
    }
    await trx.deleteFrom('releases').where('app_id', '=', app.id).execute();
    await trx.deleteFrom('config_versions').where('app_id', '=', app.id).execute();
    await trx.deleteFrom('apps').where('id', '=', app.id).execute();
  });
  await control.logs.remove(app.id);
  await control.events.record({
    kind: 'app.destroyed',
    actor: 'platform',
    app: { id: app.id, name: app.name },
    message: `${app.project}/${app.environment}/${app.name} is gone`,
  });
  control.wake.routes();
}
