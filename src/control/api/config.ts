/** Endpoints of config and releases. */
import * as api from '../../shared/contracts/api.ts';
import { openConfig } from '../agents/assignments.ts';
import { changeConfig, rollback } from './config-change.ts';
import { endpoint, type Endpoint } from './define.ts';
import { appOf, appPath } from './naming.ts';

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
