/** Endpoints of clouds, clusters and base images. */
import type * as z from 'zod/mini';
import type { HostFacts } from '../../shared/contracts/agent.ts';
import * as api from '../../shared/contracts/api.ts';
import { asPaasError, PaasError } from '../../shared/errors.ts';
import type { Control } from '../context.ts';
import { endpoint, type Call, type Endpoint } from './define.ts';

export const cloudEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v1/clouds',
    summary: 'Cloud accounts',
    role: 'viewer',
    response: api.cloudsResponse,
    handle: async ({ control }) => {
      const rows = await control.store.db.selectFrom('clouds').select(['name', 'driver']).orderBy('name').execute();
      const hosts = await control.store.db.selectFrom('hosts').select('cloud').execute();
      const clouds = rows.map(async (row) => {
        const { endpoint: url } = await control.clouds.describe(row.name);
        return {
          ...row,
          endpoint: typeof url === 'string' ? url : null,
          hosts: hosts.filter((host) => host.cloud === row.name).length,
        };
      });
      return { clouds: await Promise.all(clouds) };
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v1/clouds',
    summary: 'Add a cloud account',
    role: 'owner',
    body: api.cloudCreate,
    handle: async (call) => {
      const { name, driver, config } = call.body;
      await call.commit((trx) => call.control.clouds.put(name, driver, config, trx));
      await call.control.events.record({
        kind: 'cloud.add',
        actor: call.principal.name,
        target: name,
        message: `cloud ${name} (${driver}) added`,
      });
      return { name, driver };
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v1/clouds/:cloud/test',
    summary: 'Check credentials, clock and quota',
    role: 'owner',
    response: api.cloudTest,
    handle: (call) => testCloud(call.control, call.params['cloud'] ?? ''),
  }),
  endpoint({
    method: 'GET',
    path: '/v1/clusters',
    summary: 'Clusters',
    role: 'viewer',
    response: api.clustersResponse,
    handle: async ({ control }) => {
      const rows = await control.store.db.selectFrom('clusters').selectAll().execute();
      const hosts = await control.store.db.selectFrom('hosts').select('cluster').execute();
      const { maxHosts } = control.settings.cluster;
      const count = (name: string) => hosts.filter((host) => host.cluster === name).length;
      return {
        clusters: rows.map(({ name, cloud, engine }) => ({ name, cloud, engine, hosts: count(name), maxHosts })),
      };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v1/bases',
    summary: 'Base images',
    role: 'viewer',
    response: api.basesResponse,
    handle: async ({ control }) => ({ bases: await baseRows(control) }),
  }),
  endpoint({
    method: 'PUT',
    path: '/v1/bases/:base',
    summary: 'Name an uploaded rootfs tar as a base image',
    role: 'owner',
    body: api.baseCreate,
    handle: putBase,
  }),
];

async function testCloud(control: Control, name: string): Promise<z.infer<typeof api.cloudTest>> {
  const driver = await control.clouds.driver(name);
  try {
    const check = await driver.check();
    const found = `${check.hosts} hosts of this platform; clock differs by ${Math.abs(check.clockOffsetMs)} ms`;
    const problems = check.problems.map((message) => ({ name: 'configuration', ok: false, message }));
    return { ok: problems.length === 0, checks: [{ name: 'credentials', ok: true, message: found }, ...problems] };
  } catch (thrown) {
    const error = asPaasError(thrown);
    return { ok: false, checks: [{ name: error.code, ok: false, message: `${error.message} ${error.hint}` }] };
  }
}

async function baseRows(control: Control) {
  const { db } = control.store;
  const rows = await db.selectFrom('bases').selectAll().orderBy('name').execute();
  const used = await db
    .selectFrom('apps')
    .innerJoin('releases', (join) =>
      join.onRef('releases.app_id', '=', 'apps.id').onRef('releases.version', '=', 'apps.release'),
    )
    .innerJoin('images', 'images.id', 'releases.image_id')
    .select('images.base_name')
    .execute();
  const apps = (name: string) => used.filter((row) => row.base_name === name).length;
  const hosts = await db.selectFrom('hosts').select('facts').where('facts', 'is not', null).execute();
  const own = hosts
    .flatMap((host) => (JSON.parse(host.facts ?? '{}') as HostFacts).bases)
    .find((base) => base.name === 'host');
  const host = own
    ? [
        {
          name: 'host',
          digest: own.digest,
          bytes: null,
          createdAt: new Date(control.startedAt).toISOString(),
          apps: apps('host'),
        },
      ]
    : [];
  return [
    ...host,
    ...rows.map((row) => ({
      name: row.name,
      digest: row.digest,
      bytes: row.bytes,
      createdAt: new Date(row.created_at).toISOString(),
      apps: apps(row.name),
    })),
  ];
}

async function putBase(call: Call<z.infer<typeof api.baseCreate>>): Promise<unknown> {
  const { control } = call;
  const name = call.params['base'] ?? '';
  const { digest, bytes } = call.body;
  if (name === 'host') throw new PaasError('conflict', '`host` is the base image that every host has by itself.');
  if (control.blobs.has([digest])[0] !== true) {
    throw new PaasError('conflict', `The rootfs ${digest.slice(0, 12)} has not been uploaded.`, {
      hint: 'Repeat `paas bases add`.',
    });
  }
  await call.commit(async (trx) => {
    await trx
      .insertInto('bases')
      .values({ name, digest, bytes, created_at: Date.now() })
      .onConflict((conflict) => conflict.column('name').doUpdateSet({ digest, bytes }))
      .execute();
    return { name, digest };
  });
  await control.events.record({
    kind: 'base.add',
    actor: call.principal.name,
    target: name,
    message: `base image ${name} is ${digest.slice(0, 12)}`,
  });
  return { name, digest };
}
