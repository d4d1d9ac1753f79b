/** Endpoints of routes. */
import type * as z from 'zod/mini';
import * as api from '../../shared/contracts/api.ts';
import type { HttpRoute } from '../../shared/contracts/routes.ts';
import { PaasError } from '../../shared/errors.ts';
import { formatRoute, parseRoute, type RouteParts } from '../../shared/routes-text.ts';
import { appFlags, urlOf } from '../deploy/apps.ts';
import { changeEffects, underWay } from '../deploy/during.ts';
import { addRoute, removeRoute, routesOf } from '../deploy/routes.ts';
import type { Trx } from '../store/open.ts';
import type { AppRow } from '../store/schema.ts';
import { endpoint, type Call, type Endpoint } from './define.ts';
import { appOf, appPath, audit } from './naming.ts';
import { untilInTable } from './routed.ts';

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
    summary: 'Add a route, or change one; answered when all routers have it',
    role: 'developer',
    body: api.routeRequest,
    response: api.routeAnswer,
    handle: add,
    settle: (call) => settle(call, true),
  }),
  endpoint({
    method: 'DELETE',
    path: `${appPath}/routes`,
    summary: 'Remove a route; answered when no router has it any more',
    role: 'developer',
    body: api.routeRequest,
    handle: remove,
    settle: (call) => settle(call, false),
  }),
];

type RouteCall = Call<z.infer<typeof api.routeRequest>>;

async function add(call: RouteCall): Promise<z.infer<typeof api.routeAnswer>> {
  const { https } = call.body;
  const app = await appOf(call);
  const route = parseRoute(call.body.route);
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
  return answer;
}

/** Whoever asks the app next, at its new address or the one that went, is answered as the command has told. */
async function settle(call: Omit<RouteCall, 'commit'>, isWished: boolean): Promise<void> {
  const { store, routing } = call.control;
  const { https } = call.body;
  const { id: appId } = await appOf(call);
  const wish = parseRoute(call.body.route);
  const isIn = (routes: readonly (RouteParts & { https?: boolean | undefined })[]): boolean =>
    routes.some(
      (route) =>
        route.host === wish.host &&
        route.path === wish.path &&
        (https === undefined || (route.https ?? false) === https),
    );
  const isOwn = ({ backend }: HttpRoute): boolean => routing.table.backends[backend]?.appId === appId;
  await untilInTable(
    call.control,
    ({ http }) => isIn(http.filter(isOwn)) === isWished,
    async () => isIn(await routesOf(store.db, appId)) === isWished,
    `the route ${formatRoute(wish)}`,
  );
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
