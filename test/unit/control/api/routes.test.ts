import { afterEach, beforeEach, expect, it } from 'vitest';
import { appUrl, TestApi } from '../../../support/api.ts';
import { addRouter, makeControl, type TestControl } from '../../../support/control.ts';
import { appRow } from '../../../support/rows.ts';

let control: TestControl;
let api: TestApi;
beforeEach(async () => {
  control = await makeControl();
  control.settings.router = { ...control.settings.router, tlsPort: 8443 };
  api = await TestApi.of(control);
  await control.store.db
    .insertInto('apps')
    .values(appRow('app_1', { name: 'shop' }))
    .execute();
});
afterEach(() => control.close());

const host = 'shop.example.com';
const add = async (https?: boolean) =>
  (await api.call('POST', `${appUrl}/routes`, { body: { route: host, https } })).body;
const inTable = async () => {
  await control.routing.reconcile();
  return control.routing.table.http;
};
const selfSigned = (name: string) => api.call('PUT', `/v1/certificates/${name}`, { body: { source: 'self-signed' } });

it('sends plain requests on to https:// when that is asked for, until it is taken back', async () => {
  expect(await add()).toEqual({ route: host, changed: true, warnings: [] });
  expect((await inTable())[0]).not.toHaveProperty('https');
  await selfSigned('*.example.com');
  expect(await add(true)).toEqual({ route: host, changed: true, warnings: [] });
  expect(await inTable()).toMatchObject([{ host, https: true }]);
  expect([await add(true), await add()]).toMatchObject([{ changed: false }, { changed: false }]);
  expect(await inTable()).toMatchObject([{ https: true }]);
  expect(await add(false)).toMatchObject({ changed: true });
  expect((await inTable())[0]).not.toHaveProperty('https');
});

it('warns where clients would be sent to what does not answer them', async () => {
  expect((await add(true))['warnings']).toEqual([expect.stringContaining(`no certificate for ${host}`)]);
  control.settings.router = { ...control.settings.router, tlsPort: undefined };
  expect((await add(true))['warnings']).toEqual([expect.stringContaining('no port for TLS')]);
});

it('has the address with TLS only while a router listens for it', async () => {
  await addRouter(control, 'r');
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
