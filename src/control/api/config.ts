/** Endpoints of config, routes, releases and rollouts. */
import type * as z from 'zod/mini';
import * as api from '../../shared/contracts/api.ts';
import { PaasError } from '../../shared/errors.ts';
import { formatRoute, parseRoute } from '../../shared/routes-text.ts';
import { openConfig } from '../agents/assignments.ts';
import { formationOf, requireApp, urlOf } from '../deploy/apps.ts';
import { activate, insertDeployment, presentDeployment, refuseWhileDeploying } from '../deploy/deployments.ts';
import { mergeFormation, sameJson } from '../deploy/diff.ts';
import { releaseRow } from '../deploy/push.ts';
import { applyConfig, beginRollout, insertRelease, putConfig } from '../deploy/release.ts';
import { addRoute, removeRoute, routesOf } from '../deploy/routes.ts';
import { emptyManifest, type ReleaseProcesses } from '../deploy/types.ts';
import type { Trx } from '../store/open.ts';
import type { AppRow, ReleaseRow } from '../store/schema.ts';
import { endpoint, type Call, type Endpoint } from './define.ts';
import { appOf, appPath, audit, nameOf } from './naming.ts';

export const configEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: `${appPath}/config`,
    summary: 'Config of the app, in clear',
    role: 'developer',
    response: api.configResponse,
    handle: async (call) => {
      const app = await appOf(call);
      return { version: app.config_version, values: await openConfig(call.control, app.id, app.config_version) };
    },
  }),
  endpoint({
    method: 'PATCH',
    path: `${appPath}/config`,
    summary: 'Set and unset config; makes a release',
    role: 'developer',
    body: api.configRequest,
    response: api.configChange,
    handle: changeConfig,
  }),
  endpoint({
    method: 'GET',
    path: `${appPath}/routes`,
    summary: 'Its routes',
    role: 'viewer',
    response: api.routesResponse,
    handle: async (call) => {
      const app = await appOf(call);
      const { url } = call.control.routing.summary();
      const routes = await routesOf(call.control.store.db, app.id);
      return {
        routes: routes.map((route) => ({ route: formatRoute(route), url: urlOf(route, url), process: route.process })),
      };
    },
  }),
  endpoint({
    method: 'POST',
    path: `${appPath}/routes`,
    summary: 'Add a route',
    role: 'developer',
    body: api.routeRequest,
    handle: (call) => changeRoute(call, call.body.route, true),
  }),
  endpoint({
    method: 'DELETE',
    path: `${appPath}/routes`,
    summary: 'Remove a route',
    role: 'developer',
    body: api.routeRequest,
    handle: (call) => changeRoute(call, call.body.route, false),
  }),
  endpoint({
    method: 'GET',
    path: `${appPath}/releases`,
    summary: 'Its releases, newest first',
    role: 'viewer',
    response: api.releasesResponse,
    handle: async (call) => {
      const app = await appOf(call);
      const rows = await call.control.store.db
        .selectFrom('releases')
        .innerJoin('images', 'images.id', 'releases.image_id')
        .selectAll('releases')
        .select('images.tree')
        .where('app_id', '=', app.id)
        .orderBy('version', 'desc')
        .execute();
      return rows.map((row) => ({
        version: row.version,
        createdAt: new Date(row.created_at).toISOString(),
        by: row.actor,

        description: row.description,
        image: row.tree.slice(0, 12),
        current: row.version === app.release,
        state: row.state,
      }));
    },
  }),
  endpoint({
    method: 'POST',
    path: `${appPath}/rollback`,
    summary: 'A new release from an old one',
    role: 'developer',
    body: api.rollbackRequest,
    response: api.deploymentResponse,
    handle: rollback,
  }),
];

async function changeConfig(call: Call<z.infer<typeof api.configRequest>>): Promise<unknown> {
  const { control, body } = call;
  const app = await appOf(call);
  const before = await openConfig(control, app.id, app.config_version);
  const unset = new Set(body.unset);
  const kept = Object.entries(before).filter(([key]) => !unset.has(key));
  const after = Object.fromEntries([...kept, ...Object.entries(body.set)].sort(([a], [b]) => (a < b ? -1 : 1)));
  const changed = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    (key) => before[key] !== after[key],
  );
  const answer = await call.commit(async (trx) => {
    const present = await requireApp(trx, nameOf(call.params));
    if (present.config_version !== app.config_version) {
      throw new PaasError('locked', 'Someone else changed the config at the same moment.', {
        hint: 'Repeat the command.',
      });
    }
    if (changed.length === 0) return { version: present.config_version, changed, deployment: null };
    refuseWhileDeploying(present);
    const version = await putConfig(trx, control, present, before, after, call.principal.name);
    const current = present.release === null ? undefined : await releaseRow(control, app.id, present.release, trx);
    if (!current || !body.restart) {
      await applyConfig(trx, app.id, version);
      return { version, changed, deployment: null };
    }
    const description = `config: ${changed.join(', ')}`;
    const deployment = await roll(trx, call, present, current, { kind: 'config', description, configVersion: version });
    return { version, changed, deployment };
  });
  if (changed.length > 0) {
    // Names only: values are secret.
    await audit(
      call,
      'config.change',
      app,
      `config changed: ${changed.join(', ')}`,
      answer.deployment ? { deployment: answer.deployment.id } : {},
    );
  }
  control.wake.app(app.id);
  return answer;
}

/** A release with the image and processes of `source`, rolled out. */
async function roll(
  trx: Trx,
  call: Call<unknown>,
  app: AppRow,
  source: ReleaseRow,
  wish: { kind: 'config' | 'rollback'; description: string; configVersion: number },
) {
  const { control } = call;
  const processes = JSON.parse(source.processes) as ReleaseProcesses;
  const actor = call.principal.name;
  const release = await insertRelease(trx, app.id, {
    imageId: source.image_id,
    configVersion: wish.configVersion,
    processes,
    description: wish.description,
    actor,
  });
  const row = await insertDeployment(trx, app.id, {
    kind: wish.kind,
    actor,
    state: 'rolling',
    release: release.version,
  });
  const fresh = await activate(trx, app, row.id);
  await applyConfig(trx, app.id, wish.configVersion);
  const spec = { name: app.name, processes: {} };
  const formation = formationOf(fresh);
  await beginRollout(trx, control, fresh, {
    deploymentId: row.id,
    to: { release: release.version, epoch: fresh.epoch },
    strategy: 'rolling',
    maxInFlight: undefined,
    formation: { ...formation, ...mergeFormation(formation, emptyManifest, spec, processes, {}) },
    manifest: null,
    routesAdd: [],
    routesRemove: [],
    processes,
  });
  const stored = await trx.selectFrom('deployments').selectAll().where('id', '=', row.id).executeTakeFirstOrThrow();
  return presentDeployment(control, stored, trx);
}

async function rollback(call: Call<z.infer<typeof api.rollbackRequest>>): Promise<unknown> {
  const { control, body } = call;
  const app = await appOf(call);
  const answer = await call.commit(async (trx) => {
    const present = await requireApp(trx, nameOf(call.params));
    const target = await rollbackTarget(trx, present, body.to);
    const current = present.release === null ? undefined : await releaseRow(control, app.id, present.release, trx);
    const same = current?.image_id === target.image_id && current.config_version === target.config_version;
    if (same && sameJson(current.processes, target.processes) && present.active_deployment === null) {
      return { deployment: null };
    }
    const deployment = await roll(trx, call, present, target, {
      kind: 'rollback',
      description: `rollback to v${target.version}`,
      configVersion: target.config_version,
    });
    return { deployment };
  });
  if (answer.deployment) {
    await audit(
      call,
      'app.rollback',
      app,
      `rollback to ${body.to === undefined ? 'the release before' : `v${body.to}`}`,
      { deployment: answer.deployment.id },
    );
  }
  control.wake.app(app.id);
  return answer;
}

async function rollbackTarget(trx: Trx, app: AppRow, to: number | undefined): Promise<ReleaseRow> {
  const rows = await trx
    .selectFrom('releases')
    .selectAll()
    .where('app_id', '=', app.id)
    .orderBy('version', 'desc')
    .execute();
  if (to !== undefined) {
    const found = rows.find((row) => row.version === to);
    if (found) return found;
    throw new PaasError('not_found', `${app.name} has no release v${to}.`, {
      hint: `See \`paas releases -a ${app.name}\`.`,
    });
  }
  const before = rows.find((row) => row.state === 'live' && app.release !== null && row.version < app.release);
  if (before) return before;
  throw new PaasError('conflict', `${app.name} has no earlier release that was live.`, {
    hint: `See \`paas releases -a ${app.name}\`.`,
  });
}

async function changeRoute(call: Call<unknown>, route: string, add: boolean): Promise<unknown> {
  const { control } = call;
  const app = await appOf(call);
  const text = formatRoute(parseRoute(route));
  const answer = await call.commit(async (trx) => {
    if (add) return { route: text, changed: await addRoute(trx, app.id, text) };
    if (await removeRoute(trx, app.id, text)) return { route: text, changed: true };
    throw new PaasError('not_found', `${app.name} has no route ${text}.`, {
      hint: `See \`paas routes -a ${app.name}\`.`,
    });
  });
  if (answer.changed)
    await audit(call, add ? 'route.add' : 'route.remove', app, `route ${text} ${add ? 'added' : 'removed'}`);
  control.wake.routes();
  return answer;
}
