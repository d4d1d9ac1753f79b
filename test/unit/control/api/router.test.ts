/** Maintenance and nginx configuration through the API: answered when the routers have it. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createHandlers } from '../../../../src/control/agents/handlers.ts';
import { appUrl, TestApi } from '../../../support/api.ts';
import { addHost, addRouter, makeControl, whileRouting, type TestControl } from '../../../support/control.ts';
import { eventually } from '../../../support/eventually.ts';
import { appRow } from '../../../support/rows.ts';

let control: TestControl;
let api: TestApi;
let router: Awaited<ReturnType<typeof addRouter>>;
beforeEach(async () => {
  control = await makeControl();
  api = await TestApi.of(control);
  router = await addRouter(control);
  await control.store.db
    .insertInto('apps')
    .values(appRow('app_1', { name: 'shop', release: 1 }))
    .execute();
  const route = { host: 'shop.localhost', path: '/', app_id: 'app_1', process_type: 'web', created_at: 1 };
  await control.store.db.insertInto('routes').values(route).execute();
  await routed();
});
afterEach(() => control.close());

/** A look of the routes' loop, and the router's word that it has the table. */
async function routed(): Promise<void> {
  await control.routing.reconcile();
  router.acknowledge();
}
const backend = () => control.routing.table.backends['app_1/web'];

/** A change's answer, with the routers at work. */
async function change(method: 'PUT' | 'DELETE', path: string, body?: unknown) {
  const answer = api.call(method, `${appUrl}/${path}`, body === undefined ? {} : { body });
  return whileRouting(control, router, answer);
}

describe('maintenance', () => {
  it('is in the table before it is answered, and says who began it', async () => {
    const on = await change('PUT', 'maintenance', { page: '<h1>Back soon</h1>' });
    expect(on.body).toMatchObject({
      app: 'shop',
      maintenance: true,
      changed: true,
      by: 'key:owner',
      page: '<h1>Back soon</h1>',
    });
    expect(backend()?.maintenance).toEqual({ page: '<h1>Back soon</h1>' });
    expect((await change('PUT', 'maintenance', { page: '<h1>Back soon</h1>' })).body['changed']).toBe(false);
    expect((await change('PUT', 'maintenance', {})).body).toMatchObject({
      changed: true,
      since: on.body['since'],
      page: null,
    });
    expect(backend()?.maintenance).toEqual({});
    expect((await api.get(appUrl)).body).toMatchObject({
      maintenance: true,
      maintenanceBy: { by: 'key:owner', page: false },
    });
    expect((await api.get('/v1/status')).body['warnings']).toEqual([
      expect.stringContaining('default/dev/shop is in maintenance'),
    ]);
    const off = await change('DELETE', 'maintenance');
    expect(off.body).toMatchObject({ maintenance: false, changed: true, since: null });
    expect(backend()?.maintenance).toBeUndefined();
    expect((await change('DELETE', 'maintenance')).body['changed']).toBe(false);
    const events = await control.events.list({ limit: 10 });
    expect(events.map(({ kind }) => kind)).toEqual(['maintenance.on', 'maintenance.on', 'maintenance.off']);
  });

  it('says what it waited for when no router takes it up, and what it refuses', async () => {
    control.settings.timing = { ...control.settings.timing, routed: 20 };
    const late = await api.call('PUT', `${appUrl}/maintenance`, { body: {} });
    expect(late.code).toBe('timeout');
    expect(late.body).toMatchObject({ error: { message: expect.stringContaining('the maintenance of shop') } });
    // It is made all the same.
    expect((await api.get(`${appUrl}/maintenance`)).body['maintenance']).toBe(true);
    expect((await api.call('PUT', `${appUrl}/maintenance`, { body: { page: 'x'.repeat(256 * 1024 + 1) } })).code).toBe(
      'bad_request',
    );
    expect((await api.call('PUT', `${appUrl}/maintenance`, { body: {}, as: 'viewer' })).code).toBe('not_allowed');
  });
});

describe('a change that routers have to take up', () => {
  it('is waited for again by a request that is repeated, since its first answer never came', async () => {
    control.settings.timing = { ...control.settings.timing, routed: 20 };
    const repeated = { body: {}, idempotencyKey: 'one' };
    expect((await api.call('PUT', `${appUrl}/maintenance`, repeated)).code).toBe('timeout');
    expect((await api.call('PUT', `${appUrl}/maintenance`, repeated)).code).toBe('timeout');
    await routed();
    const { status, body } = await api.call('PUT', `${appUrl}/maintenance`, repeated);
    expect([status, body['changed']]).toEqual([200, true]);
  });

  it('is not waited for any more once somebody has taken it back', async () => {
    const on = api.call('PUT', `${appUrl}/maintenance`, { body: {} });
    await eventually(async () => (await api.get(`${appUrl}/maintenance`)).body['maintenance']).toBe(true);
    await control.store.db.updateTable('apps').set({ maintenance: null }).execute();
    await routed();
    expect((await on).status).toBe(200);
  });
});

describe('nginx configuration of an app', () => {
  const put = (nginx: string, more = {}) => change('PUT', 'nginx', { nginx, ...more });
  const asNginx = () => {
    router.acknowledge = () => {
      const { version } = control.routing.table;
      control.routing.report('r', { version, url: 'http://127.0.0.1:8080', driver: 'nginx', open: {}, problems: [] });
    };
    router.acknowledge();
  };
  /** The agent of the router host answers checks so, until told otherwise. */
  function agentAnswers(problems: { line: number; message: string }[]): void {
    const handlers = createHandlers(control);
    const send = control.fakeHub.send.bind(control.fakeHub);
    control.fakeHub.send = (host, message) => {
      if (message.type === 'step' && message.step.kind === 'router-check') {
        const result = { id: message.step.id, ok: true, problems, durationMs: 1 };
        setImmediate(() => void handlers.message(host, { type: 'stepResult', result }));
      }
      return send(host, message);
    };
  }

  it('is refused with line numbers before any router is asked', async () => {
    asNginx();
    const answer = await put('etag on;\nlisten 81;\n');
    expect(answer.code).toBe('manifest_invalid');
    expect(answer.body).toMatchObject({ error: { message: expect.stringContaining('line 2: `listen`') } });
    expect(control.fakeHub.take().filter(({ message }) => message.type === 'step')).toEqual([]);
  });

  it('is for platforms with nginx, and Lua for owners', async () => {
    const answer = await put('etag on;');
    expect(answer.code).toBe('unsupported');
    expect(answer.body).toMatchObject({ error: { message: expect.stringContaining('`embedded`') } });
    const lua = { body: { nginx: 'access_by_lua_block { }', allowLua: true }, as: 'developer' } as const;
    expect((await api.call('PUT', `${appUrl}/nginx`, lua)).code).toBe('not_allowed');
  });

  it('is checked by the router, and in the table before it is answered', async () => {
    asNginx();
    agentAnswers([{ line: 1, message: 'invalid value "maybe"' }]);
    expect((await put('etag maybe;')).body).toMatchObject({
      error: { code: 'manifest_invalid', details: { problems: [{ line: 1, message: 'invalid value "maybe"' }] } },
    });
    expect(backend()?.nginx).toBeUndefined();
    agentAnswers([]);
    expect((await put('etag off;')).body).toEqual({ app: 'shop', nginx: 'etag off;', changed: true });
    expect(backend()?.nginx).toBe('etag off;');
    expect((await api.get(`${appUrl}/nginx`)).body).toEqual({ app: 'shop', nginx: 'etag off;' });
    expect((await change('DELETE', 'nginx')).body).toEqual({ app: 'shop', nginx: null, changed: true });
    expect(backend()?.nginx).toBeUndefined();
  });

  it('is not taken while no router can check it', async () => {
    await control.store.db.deleteFrom('hosts').execute();
    await addHost(control, 'h2');
    expect((await put('etag off;')).code).toBe('unavailable');
    await expect(control.routerChecks.check({ id: 'h2', name: 'host-2' }, 'etag off;', 20)).rejects.toMatchObject({
      code: 'timeout',
      message: expect.stringContaining('host-2'),
    });
  });
});

describe('gray rules by region', () => {
  it('say what to configure where no database is', async () => {
    const release = {
      app_id: 'app_1',
      version: 2,
      image_id: 'img',
      config_version: 0,
      description: '',
      actor: 'me',
      state: 'live',
    };
    const processes = '{"web":{"kind":"web","command":"run","health":{},"graceMs":null,"schedule":null}}';
    await control.store.db
      .insertInto('releases')
      .values({ ...release, processes, router: null, created_at: 1 })
      .execute();
    const body = { release: 2, match: 'region:CN-31' };
    const refused = await api.call('POST', `${appUrl}/gray`, { body });
    expect(refused.code).toBe('conflict');
    expect(refused.body).toMatchObject({ error: { hint: expect.stringContaining('paas up --regions') } });
    control.settings.router.regions = '/nowhere/city.mmdb';
    expect((await api.call('POST', `${appUrl}/gray`, { body })).status).toBe(200);
    const test = await api.call('POST', `${appUrl}/gray/test`, { body: { headers: {}, ip: '10.2.3.4' } });
    expect(test.body).toMatchObject({ rule: null, why: expect.stringContaining('/nowhere/city.mmdb') });
  });
});
