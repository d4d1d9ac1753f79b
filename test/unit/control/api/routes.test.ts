import { afterEach, beforeEach, expect, it } from 'vitest';
import { appUrl, TestApi } from '../../../support/api.ts';
import { addRouter, makeControl, whileRouting, type TestControl } from '../../../support/control.ts';
import { eventually } from '../../../support/eventually.ts';
import { appRow } from '../../../support/rows.ts';

let control: TestControl;
let api: TestApi;
let router: Awaited<ReturnType<typeof addRouter>>;
beforeEach(async () => {
  control = await makeControl();
  control.settings.router = { ...control.settings.router, tlsPort: 8443 };
  api = await TestApi.of(control);
  router = await addRouter(control);
  await control.store.db
    .insertInto('apps')
    .values(appRow('app_1', { name: 'shop' }))
    .execute();
});
afterEach(() => control.close());

const host = 'shop.example.com';
const change = (method: 'POST' | 'DELETE', https?: boolean) =>
  whileRouting(control, router, api.call(method, `${appUrl}/routes`, { body: { route: host, https } }));
const add = async (https?: boolean) => (await change('POST', https)).body;
/** The routes that the router has. */
const routed = () => {
  const { table } = control.routing;
  return control.routing.summary().version === table.version ? table.http : 'an older table';
};
const selfSigned = (name: string) => api.call('PUT', `/v1/certificates/${name}`, { body: { source: 'self-signed' } });

it('sends plain requests on to https:// when that is asked for, until it is taken back', async () => {
  expect(await add()).toEqual({ route: host, changed: true, warnings: [] });
  expect(routed()[0]).not.toHaveProperty('https');
  await selfSigned('*.example.com');
  expect(await add(true)).toEqual({ route: host, changed: true, warnings: [] });
  expect(routed()).toMatchObject([{ host, https: true }]);
  expect([await add(true), await add()]).toMatchObject([{ changed: false }, { changed: false }]);
  expect(routed()).toMatchObject([{ https: true }]);
  expect(await add(false)).toMatchObject({ changed: true });
  expect(routed()[0]).not.toHaveProperty('https');
});

it('is in the table of every router when it is said to be added, and in none when it is said to be removed', async () => {
  expect(await add()).toMatchObject({ changed: true });
  expect(routed()).toMatchObject([{ host }]);
  expect((await change('DELETE')).body).toMatchObject({ changed: true });
  expect(routed()).toEqual([]);
});

it('is waited for again by whoever says it again', async () => {
  const { acknowledge } = router;
  router.acknowledge = () => undefined;
  control.settings.timing = { ...control.settings.timing, routed: 50 };
  const late = await change('POST');
  expect(late).toMatchObject({ code: 'timeout' });
  expect(late.body).toMatchObject({
    error: { message: expect.stringContaining(`to take up the route ${host}`) as string },
  });
  router.acknowledge = acknowledge;
  control.settings.timing = { ...control.settings.timing, routed: 15_000 };
  expect(await add()).toMatchObject({ changed: false });
  expect(routed()).toMatchObject([{ host }]);
});

it('is not waited for by whoever adds it when another takes it away again', async () => {
  router.acknowledge = () => undefined;
  const added = change('POST');
  await eventually(async () => (await api.get(`${appUrl}/routes`)).body['routes']).toHaveLength(1);
  await control.store.db.deleteFrom('routes').execute();
  expect((await added).status).toBe(200);
});

it('warns where clients would be sent to what does not answer them', async () => {
  expect((await add(true))['warnings']).toEqual([expect.stringContaining(`no certificate for ${host}`)]);
  control.settings.router = { ...control.settings.router, tlsPort: undefined };
  expect((await add(true))['warnings']).toEqual([expect.stringContaining('no port for TLS')]);
});

it('has the address with TLS only while a router listens for it', async () => {
  await add(true);
  const url = async () => {
    const { routes } = (await api.get(`${appUrl}/routes`)).body as { routes: { url: string }[] };
    return routes[0]!.url;
  };
  const status = { version: 1, url: 'http://127.0.0.1:8080', driver: 'embedded', open: {}, problems: [] };
  control.routing.report('r', status);
  expect(await url()).toBe(`http://${host}:8080`);
  control.routing.report('r', { ...status, tlsUrl: 'https://127.0.0.1:8443' });
  expect(await url()).toBe(`https://${host}:8443`);
});
