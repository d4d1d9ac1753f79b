/** Endpoints of routes. */
import type * as z from 'zod/mini';
import * as api from '../../shared/contracts/api.ts';
import { PaasError } from '../../shared/errors.ts';
import { formatRoute, parseRoute, type RouteParts } from '../../shared/routes-text.ts';
import { appFlags, urlOf } from '../deploy/apps.ts';
import { changeEffects, underWay } from '../deploy/during.ts';
import { addRoute, removeRoute, routesOf } from '../deploy/routes.ts';
import type { Trx } from '../store/open.ts';
import type { AppRow } from '../store/schema.ts';
import { endpoint, type Call, type Endpoint } from './define.ts';
import { appOf, appPath, audit } from './naming.ts';

export const routeEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: `${appPath}/routes`,
    summary: 'Its routes',
    role: 'viewer',
    response: api.routesResponse,
    handle: async (call) => {
      const app = await appOf(call);
      const router = call.control.routing.summary();
      const routes = await routesOf(call.control.store.db, app.id);
      return {
        routes: routes.map((route) => ({
          route: formatRoute(route),
          url: urlOf(route, router),
          process: route.process,
          https: route.https,
        })),
      };
    },
  }),
  endpoint({
    method: 'POST',
    path: `${appPath}/routes`,
    summary: 'Add a route, or change one',
    role: 'developer',
    body: api.routeRequest,
    response: api.routeAnswer,
    handle: add,
  }),
  endpoint({
    method: 'DELETE',
    path: `${appPath}/routes`,
    summary: 'Remove a route',
    role: 'developer',
    body: api.routeRequest,
    handle: remove,
  }),
];

type RouteCall = Call<z.infer<typeof api.routeRequest>>;

async function add(call: RouteCall): Promise<z.infer<typeof api.routeAnswer>> {
  const { control, body } = call;
  const { https } = body;
  const app = await appOf(call);
  const route = parseRoute(body.route);
  const text = formatRoute(route);
  const answer = await call.commit(async (trx) => {
    await keepWhatever(trx, app, text);
    const changed = await addRoute(trx, app.id, text, https);
    return { route: text, changed, warnings: https === true ? await tlsWarnings(call, trx, route) : [] };
  });
  if (answer.changed) {
    const how = https === undefined ? '' : https ? ', over https:// only' : ', over plain HTTP too';
    await audit(call, 'route.add', app, `route ${text} added${how}`);
  }
  control.wake.routes();
  return answer;
}

async function remove(call: RouteCall): Promise<unknown> {
  const app = await appOf(call);
  const text = formatRoute(parseRoute(call.body.route));
  const answer = await call.commit(async (trx) => {
    await keepWhatever(trx, app, text);
    if (await removeRoute(trx, app.id, text)) return { route: text, changed: true };
    throw new PaasError('not_found', `${app.name} has no route ${text}.`, {
      hint: `See \`paas routes${appFlags(app)}\`.`,
    });
  });
  await audit(call, 'route.remove', app, `route ${text} removed`);
  call.control.wake.routes();
  return answer;
}

/** A route that somebody asks for is no longer the rollout's own: it stays however that ends. */
async function keepWhatever(trx: Trx, app: AppRow, text: string): Promise<void> {
  const active = await underWay(trx, app);
  if (!active?.rollout) return;
  const others = (routes: string[]) => routes.filter((route) => route !== text);
  await changeEffects(trx, active.rollout, ({ routesAdded, routesToRemove }) => ({
    routesAdded: others(routesAdded),
    routesToRemove: others(routesToRemove),
  }));
}

/** What keeps clients that are sent on to https:// from getting there. */
async function tlsWarnings({ control }: RouteCall, trx: Trx, { host }: RouteParts): Promise<string[]> {
  if (control.settings.router.tlsPort === undefined)
    return ['The router has no port for TLS: requests are answered over plain HTTP until it has one.'];
  const names = [host, host.replace(/^[^.]+/, '*')];
  const rows = await trx.selectFrom('certificates').select('chain').where('host', 'in', names).execute();
  if (rows.some(({ chain }) => chain !== null)) return [];
  return [`There is no certificate for ${host}: \`paas certs add ${host}\` gives it one.`];
}
