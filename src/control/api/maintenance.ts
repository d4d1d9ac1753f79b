/** Endpoints of maintenance: an app keeps running, and its users get a page instead of it. */
import * as api from '../../shared/contracts/api.ts';
import { maintenanceOf, type Maintenance } from '../deploy/router-settings.ts';
import type { AppRow } from '../store/schema.ts';
import { endpoint, type Call, type Endpoint } from './define.ts';
import { appOf, appPath, audit } from './naming.ts';
import { untilRouted } from './routed.ts';

export const maintenanceEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: `${appPath}/maintenance`,
    summary: 'Whether its users get a page instead of it',
    role: 'viewer',
    response: api.maintenanceView,
    handle: async (call) => viewOf(await appOf(call)),
  }),
  endpoint({
    method: 'PUT',
    path: `${appPath}/maintenance`,
    summary: 'Give its users a page instead of it; answered when all routers do',
    role: 'developer',
    body: api.maintenanceRequest,
    response: api.maintenanceChange,
    handle: (call) => change(call, { page: call.body.page }),
    settle: (call) => settle(call, { page: call.body.page }),
  }),
  endpoint({
    method: 'DELETE',
    path: `${appPath}/maintenance`,
    summary: 'Let its users in again; answered when all routers do',
    role: 'developer',
    response: api.maintenanceChange,
    handle: (call) => change(call, null),
    settle: (call) => settle(call, null),
  }),
];

function viewOf(app: Pick<AppRow, 'name' | 'maintenance'>): api.MaintenanceView {
  const state = maintenanceOf(app);
  return {
    app: app.name,
    maintenance: state !== null,
    by: state?.by ?? null,
    since: state === null ? null : new Date(state.since).toISOString(),
    page: state?.page ?? null,
  };
}

async function change(call: Call<unknown>, wish: Pick<Maintenance, 'page'> | null): Promise<api.MaintenanceChange> {
  const { control } = call;
  const app = await appOf(call);
  const answer = await call.commit(async (trx) => {
    const present = await appOf(call, trx);
    const before = maintenanceOf(present);
    const changed = (before === null) !== (wish === null) || before?.page !== wish?.page;
    if (!changed) return { ...viewOf(present), changed };
    // Another page does not begin the maintenance anew.
    const since = before?.since ?? Date.now();
    const by = before?.by ?? call.principal.name;
    const maintenance = wish === null ? null : JSON.stringify({ ...wish, by, since } satisfies Maintenance);
    await trx.updateTable('apps').set({ maintenance }).where('id', '=', app.id).execute();
    return { ...viewOf({ ...present, maintenance }), changed };
  });
  if (answer.changed) {
    const said = wish === null ? 'maintenance is over' : 'maintenance: requests get 503 and a page';
    await audit(call, wish === null ? 'maintenance.off' : 'maintenance.on', app, said);
    control.say(app.id, 'platform', said);
  }
  return answer;
}

async function settle(call: Omit<Call<unknown>, 'commit'>, wish: Pick<Maintenance, 'page'> | null): Promise<void> {
  const app = await appOf(call);
  await untilRouted(
    call.control,
    app.id,
    ({ maintenance }) => (maintenance === undefined) === (wish === null) && maintenance?.page === wish?.page,
    wish === null ? `the end of the maintenance of ${app.name}` : `the maintenance of ${app.name}`,
  );
}
