/** An app with a route, on one host behind one router, whose instances a test writes itself. */
import { addHost, addRouter, makeControl, type TestControl } from '../../../support/control.ts';
import { appRow, instanceRow } from '../../../support/rows.ts';

export interface RoutedApp {
  control: TestControl;
  router: Awaited<ReturnType<typeof addRouter>>;
  /** An instance of the app: healthy and ready, where `change` does not say otherwise. */
  add: (id: string, change?: object) => Promise<unknown>;
  set: (id: string, change: object) => Promise<unknown>;
}

/** `app_1` with the route `shop.localhost`, host `a`, router `r1`. */
export async function routedApp(): Promise<RoutedApp> {
  const control = await makeControl();
  const { db } = control.store;
  await addHost(control, 'a');
  const router = await addRouter(control, 'r1');
  const formation = JSON.stringify({ web: { kind: 'web', instances: 2, memoryMb: 1, cpu: null, schedule: null } });
  await db
    .insertInto('apps')
    .values(appRow('app_1', { name: 'shop', release: 1, formation }))
    .execute();
  await db
    .insertInto('routes')
    .values({ host: 'shop.localhost', path: '/', app_id: 'app_1', process_type: 'web', created_at: 1 })
    .execute();
  return {
    control,
    router,
    add: (id, change = {}) => db.insertInto('instances').values(instanceRow(id, change)).execute(),
    set: (id, change) => db.updateTable('instances').set(change).where('id', '=', id).execute(),
  };
}
