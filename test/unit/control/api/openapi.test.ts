import * as z from 'zod/mini';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appUrl, TestApi, type Answer } from '../../../support/api.ts';
import * as life from '../../../support/app-life.ts';
import { addHost, addRouter, makeControl, whileRouting, type TestControl } from '../../../support/control.ts';

let control: TestControl;
let api: TestApi;
let world: life.Life;
let deployment: string;
beforeAll(async () => {
  control = await makeControl();
  await addHost(control, 'h1');
  world = { control, router: await addRouter(control) };
  const processes = { web: { kind: 'web', command: './run' }, db: { kind: 'service', command: './run' } };
  deployment = (await life.pushApp(world, { spec: { processes, config: { A: '1' } } })).id;
  await life.pushApp(world, { files: life.plainApp('two'), spec: { processes, config: { A: '1' } } });
  await control.store.db
    .insertInto('clouds')
    .values({ name: 'test', driver: 'speedycloud', config: '', created_at: 1 })
    .execute();
  await control.store.db
    .insertInto('bases')
    .values({ name: 'debian', digest: 'd'.repeat(64), bytes: 7, created_at: 1 })
    .execute();
  api = await TestApi.of(control);
});
afterAll(() => control.close());

interface Description {
  openapi: string;
  paths: Record<
    string,
    Record<string, { summary: string; 'x-role': string; parameters: unknown[]; responses: object }>
  >;
}

describe('/openapi.json', () => {
  it('is served to anyone, and lists every endpoint with its role', async () => {
    const answer = await api.server.inject({ method: 'GET', url: '/openapi.json' });
    expect(answer.statusCode).toBe(200);
    const description = answer.json<Description>();
    expect(description.openapi).toBe('3.1.0');
    const listed = Object.entries(description.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { 'x-role': role }]) => `${method.toUpperCase()} ${path} ${role}`),
    );
    const served = api.endpoints.map(
      ({ method, path, role }) => `${method} ${path.replaceAll(/:([a-z]+)/g, '{$1}')} ${role}`,
    );
    expect(listed.sort()).toEqual(served.sort());
    expect(new Set(served).size).toBe(served.length);
  });

  it('names every parameter of a path, and the error of every answer', async () => {
    const { paths } = (await api.server.inject({ method: 'GET', url: '/openapi.json' })).json<Description>();
    for (const [path, methods] of Object.entries(paths)) {
      for (const { parameters, responses, summary } of Object.values(methods)) {
        expect(parameters).toHaveLength([...path.matchAll(/\{/g)].length);
        expect(responses).toHaveProperty('default');
        expect(summary).not.toBe('');
      }
    }
  });

  it('shares its server with a sign of life', async () => {
    expect((await api.server.inject({ method: 'GET', url: '/healthz' })).json()).toMatchObject({ ok: true });
  });
});

/** The answer is what its endpoint's schema says, no more and no less. */
function matches(method: string, path: string, { status, body }: Answer): void {
  const endpoint = api.endpoints.find((e) => e.method === method && e.path === path);
  expect(endpoint, `${method} ${path}`).toBeDefined();
  expect(status, JSON.stringify(body)).toBe(endpoint!.status ?? 200);
  if (endpoint!.response) expect(z.parse(endpoint!.response, body)).toEqual(body);
}

const app = '/v1/projects/:project/environments/:environment/apps/:app';

describe('answers match their schemas', () => {
  const readable = () =>
    api.endpoints.filter(({ method, path }) => method === 'GET' && !/stream$|logs$|uploads|agents/.test(path));

  it('of everything that is read', async () => {
    const concrete = (path: string) =>
      path.replace(app, appUrl).replace(':deployment', deployment).replace(':host', 'shop.localhost');
    const certificate = { body: { source: 'self-signed' } };
    const asked = api.call('PUT', '/v1/certificates/shop.localhost', certificate);
    matches('PUT', '/v1/certificates/:host', await whileRouting(control, world.router, asked));
    expect(readable().length).toBeGreaterThan(12);
    for (const { path } of readable()) matches('GET', path, await api.get(concrete(path)));
    matches('GET', `${app}/instances`, await api.get(`${appUrl}/instances?all=1`));
  });

  it('of changes', async () => {
    const change = async (method: 'POST' | 'PATCH' | 'DELETE' | 'PUT', path: string, body: unknown, url = path) => {
      const asked = api.call(method, url.replace(app, appUrl), { body });
      matches(method, path, path.endsWith('/routes') ? await whileRouting(control, world.router, asked) : await asked);
    };
    const settle = () =>
      life.live(world, appId, async () => {
        const open = control.store.db.selectFrom('deployments').select('id').where('finished_at', 'is', null);
        return (await open.executeTakeFirst()) === undefined;
      });
    const { app_id: appId } = await life.deploymentOf(control, deployment);
    await change('PATCH', `${app}/formation`, { processes: { web: { instances: 2 } } });
    await settle();
    await change('PATCH', `${app}/formation`, { processes: { web: { memoryMb: 256 } } });
    await settle();
    await change('PATCH', `${app}/formation`, { processes: { web: { memoryMb: 256 } } });
    await change('POST', `${app}/restart`, {});
    await settle();
    await change('POST', `${app}/restart`, { instance: 'web.1' });
    await settle();
    await change('PATCH', `${app}/config`, { set: { B: '2' }, unset: ['A'] });
    await change('POST', `${app}/rollout/pause`, {});
    await change('POST', `${app}/rollout/continue`, {});
    await change('POST', `${app}/rollout/cancel`, {});
    await settle();
    await change('POST', `${app}/rollback`, {});
    await settle();
    await change('POST', `${app}/routes`, { route: 'www.example.com/shop' });
    await change('DELETE', `${app}/routes`, { route: 'www.example.com/shop' });
    await change('POST', `${app}/sessions`, { kind: 'exec', instance: 'web.1', argv: ['ls'] });
    await change('POST', `${app}/sessions`, { kind: 'run', argv: ['ls'] });
    await change('POST', `${app}/sessions`, { kind: 'run', argv: ['ls', '-l'], detach: true });
    await change('POST', '/v1/hosts', { count: 1 });
    await change('POST', '/v1/missing', { digests: ['a'.repeat(64)] });
    await change('POST', '/v1/uploads', { bytes: 10 });
    await change('POST', `${app}/stop`, {});
    await settle();
    await change('POST', `${app}/start`, {});
    await settle();
    const tree = await life.storeTree(control, life.plainApp('three'));
    const push = { source: { tree }, spec: { name: 'shop', processes: { web: { kind: 'web', command: './run' } } } };
    await change('POST', `${app}/plans`, push);
    await change('POST', `${app}/pushes`, push);
    await settle();
    await change('POST', `${app}/pushes`, push);
    await change('DELETE', app, {});
  });
});
