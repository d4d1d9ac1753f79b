import { X509Certificate } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dueCertificates, issueCertificate } from '../../../../src/control/certificates/acme/issue.ts';
import { Loops } from '../../../../src/control/reconcile/loops.ts';
import { StoredNonces } from '../../../../src/control/store/nonces.ts';
import type { CertificateView } from '../../../../src/shared/contracts/api.ts';
import { FakeAuthority } from '../../../support/acme/server.ts';
import { TestApi } from '../../../support/api.ts';
import { addRouter, makeControl, type TestControl } from '../../../support/control.ts';
import { eventually } from '../../../support/eventually.ts';

const host = 'shop.example.com';
const path = `/v1/certificates/${host}`;
let authority: FakeAuthority;
let control: TestControl;
let api: TestApi;
let router: Awaited<ReturnType<typeof addRouter>>;
/** Stands for the routers' port 80: answers with what the table has that they acknowledged. */
let port80: Server;
let isRouterSlow: boolean;

const acme = () => ({ directory: authority.directory, email: null, termsOfServiceAgreed: false });

async function start(settings = {}): Promise<void> {
  control = await makeControl({ settings: { acme: { ...acme(), ...settings } } });
  api = await TestApi.of(control);
  router = await addRouter(control);
  // As the loops do: whoever changes a certificate has the table built again, and routers take it up.
  control.wake.routes = () =>
    void control.routing
      .reconcile()
      .then(() => {
        if (!isRouterSlow) router.acknowledge();
      })
      .catch((error: unknown) => control.errors.push(error));
}

beforeEach(async () => {
  isRouterSlow = false;
  authority = await FakeAuthority.start();
  port80 = createServer((request, response) => {
    const token = request.url?.split('/').at(-1) ?? '';
    const answer = control.routing.table.challenges?.[token];
    if (answer === undefined || !control.routing.answers(token)) response.writeHead(404).end('no such challenge');
    else response.end(answer);
  });
  await new Promise<void>((resolve) => port80.listen(0, '127.0.0.1', resolve));
  authority.challengePort = (port80.address() as AddressInfo).port;
  await start();
});
afterEach(async () => {
  await control.close();
  await authority.stop();
  port80.closeAllConnections();
  await new Promise((resolve) => port80.close(resolve));
  expect(control.errors).toEqual([]);
});

const ask = (more: object = {}) => api.call('PUT', path, { body: { source: 'acme', ...more } });
const never = new AbortController().signal;
const issue = (signal = never) => issueCertificate(control, host, signal);
const view = async () => (await api.get(path)).body as unknown as CertificateView;
const row = () => control.store.db.selectFrom('certificates').selectAll().executeTakeFirstOrThrow();
const makeDue = () => control.store.db.updateTable('certificates').set({ next_at: Date.now() }).execute();
const kinds = async () => (await control.events.list({})).map(({ kind }) => kind);

describe('a certificate by ACME', () => {
  it('is asked for with a proof through the routers, sealed, and shown by them', async () => {
    expect((await ask({ email: 'ops@example.com' })).body['certificate']).toMatchObject({
      state: 'issuing',
      issuing: true,
    });
    expect(await dueCertificates(control)).toEqual([host]);
    await issue();
    expect(await view()).toMatchObject({
      ...{ host, source: 'acme', state: 'valid', issuer: 'Test CA 1 (Test Trust)', names: [host] },
      ...{ issuing: false, attempts: 0, message: null },
    });
    const { notAfter, renewsAt } = { notAfter: (await view()).expires!, renewsAt: (await view()).renewsAt! };
    expect(Math.round((Date.parse(notAfter) - Date.parse(renewsAt)) / 86_400_000)).toBe(30);
    await control.routing.reconcile();
    const [shown] = control.routing.tableForRouters().certificates!;
    const leaf = new X509Certificate(shown!.chain);
    expect(leaf.checkHost(host)).toBe(host);
    expect(shown!.key).toContain('BEGIN PRIVATE KEY');
    expect((await row()).key).not.toContain('PRIVATE KEY');
    expect(control.routing.table.challenges).toBeUndefined();
    expect([...authority.accounts.values()]).toMatchObject([{ contact: ['mailto:ops@example.com'] }]);
    expect(await kinds()).toEqual(['cert.added', 'cert.issued']);
    expect(await dueCertificates(control)).toEqual([]);
  });

  it('is proved only when all routers have the answer', async () => {
    isRouterSlow = true;
    await ask();
    const done = issue();
    await eventually(() => control.routing.table.challenges).toBeDefined();
    const [token = ''] = Object.keys(control.routing.table.challenges!);
    expect([control.routing.answers(token), authority.asked.includes('challenge')]).toEqual([false, false]);
    isRouterSlow = false;
    router.acknowledge();
    await done;
    expect((await view()).state).toBe('valid');
  });

  it('is gone on with by the next server where the one before stopped', async () => {
    isRouterSlow = true;
    await ask();
    const stop = new AbortController();
    const first = issue(stop.signal);
    await eventually(async () => (await row()).challenge).not.toBeNull();
    stop.abort();
    await first;
    expect(await view()).toMatchObject({ issuing: true, attempts: 0 });
    isRouterSlow = false;
    await issue();
    expect((await view()).state).toBe('valid');
    expect(authority.asked.filter((kind) => kind === 'newOrder')).toHaveLength(1);
    expect(authority.accounts.size).toBe(1);
  });

  it('is asked for anew where the authority forgot the order, or the account', async () => {
    isRouterSlow = true;
    await ask();
    const stop = new AbortController();
    const first = issue(stop.signal);
    await eventually(async () => (await row()).issuance).not.toBeNull();
    stop.abort();
    await first;
    isRouterSlow = false;
    authority.orders.clear();
    await issue();
    expect((await view()).state).toBe('valid');
    authority.accounts.clear();
    await makeDue();
    await issue();
    expect(await view()).toMatchObject({ attempts: 1, message: expect.stringContaining('no such account') as string });
    await makeDue();
    await issue();
    expect(await view()).toMatchObject({ state: 'valid', attempts: 0, message: null });
  });

  it('is asked for anew where another authority was configured, and the one before is gone', async () => {
    isRouterSlow = true;
    await ask();
    const stop = new AbortController();
    const first = issue(stop.signal);
    await eventually(async () => (await row()).issuance).not.toBeNull();
    stop.abort();
    await first;
    isRouterSlow = false;
    await authority.stop();
    authority = await FakeAuthority.start();
    authority.challengePort = (port80.address() as AddressInfo).port;
    Object.assign(control.settings, { acme: acme() });
    await issue();
    expect(await view()).toMatchObject({ state: 'valid', message: null });
  });

  it('tells why there is none, and is tried again later and later', async () => {
    authority.challengePort = 1;
    await ask();
    const waits: number[] = [];
    for (let i = 0; i < 3; i++) {
      await makeDue();
      await issue();
      waits.push(Math.round((Date.parse((await view()).renewsAt!) - Date.now()) / 60_000));
    }
    expect(waits).toEqual([1, 2, 4]);
    expect(await view()).toMatchObject({ state: 'failed', attempts: 3, issuing: false });
    expect((await view()).message).toMatch(/^127\.0\.0\.1:\d+ says: shop\.example\.com answers .*ECONNREFUSED/);
    expect((await api.get('/v1/status')).body['warnings']).toEqual([
      expect.stringMatching(/^there is no certificate for shop\.example\.com yet: 127\.0\.0\.1/),
    ]);
    expect(control.routing.table.challenges).toBeUndefined();
    expect((await kinds()).filter((kind) => kind === 'cert.failed')).toHaveLength(3);
  });

  it('leaves the authority alone for as long as it asks', async () => {
    const detail = 'too many certificates';
    const headers = { 'retry-after': '7200' };
    authority.refusals.set('newOrder', { status: 429, type: 'rateLimited', detail, headers });
    await ask();
    await issue();
    const { renewsAt, message } = await view();
    expect(Math.round((Date.parse(renewsAt!) - Date.now()) / 60_000)).toBe(120);
    expect(message).toContain(detail);
  });

  it('repeats a request whose nonce was used up, and only that', async () => {
    authority.refusals.set('newOrder', { status: 400, type: 'badNonce', detail: 'once more' });
    await ask();
    await issue();
    expect((await view()).state).toBe('valid');
  });

  it('waits for somebody to agree to the terms', async () => {
    authority.termsOfService = 'https://authority.example/terms';
    await ask();
    await issue();
    expect((await view()).message).toContain('https://authority.example/terms');
    expect(authority.accounts.size).toBe(0);
    await ask({ termsAgreed: true });
    expect(await view()).toMatchObject({ issuing: true, attempts: 0, message: null });
    await issue();
    expect((await view()).state).toBe('valid');
  });

  it('stays in force while its renewal fails, which the status tells', async () => {
    await ask();
    await issue();
    const before = await row();
    authority.refusals.set('newOrder', { status: 503, type: 'serverInternal', detail: 'under maintenance' });
    await makeDue();
    await issue();
    expect(await row()).toMatchObject({ chain: before.chain, key: before.key, attempts: 1 });
    const { body } = await api.get('/v1/status');
    expect(body['warnings']).toEqual([expect.stringContaining('its renewal failed')]);
    expect(body['certificates']).toEqual({ total: 1, valid: 1 });
    await makeDue();
    await issue();
    expect((await row()).chain).not.toBe(before.chain);
  });

  it('writes nothing over what somebody did meanwhile', async () => {
    await ask();
    authority.before.set('finalize', async () => {
      await api.call('DELETE', path);
    });
    await issue();
    expect((await api.get(path)).code).toBe('not_found');
  });

  it('is refused for wildcards, with the reason', async () => {
    const { status, body } = await api.call('PUT', '/v1/certificates/*.example.com', { body: { source: 'acme' } });
    expect(status).toBe(501);
    expect(body).toMatchObject({ error: { code: 'unsupported', message: expect.stringContaining('DNS') as string } });
  });

  it('says so where the authority does not answer', async () => {
    // Nobody listens there, nor begins to.
    Object.assign(control.settings, { acme: { ...acme(), directory: 'http://127.0.0.1:1/directory' } });
    await ask();
    await issue();
    expect((await view()).message).toContain('127.0.0.1:1 cannot be asked: ');
  });

  it('is had from a private authority, whose own CA is configured', async () => {
    await control.close();
    await authority.stop();
    authority = await FakeAuthority.start(true);
    authority.challengePort = (port80.address() as AddressInfo).port;
    const directory = mkdtempSync(join(tmpdir(), 'paas-ca-'));
    const ca = join(directory, 'ca.pem');
    writeFileSync(ca, authority.ca.root);
    await start({ ca });
    await ask();
    await issue();
    rmSync(directory, { recursive: true });
    expect(await view()).toMatchObject({ state: 'valid', message: null });
  });

  it('is looked after by the loops of the server that leads', async () => {
    await ask();
    const loops = new Loops(() => control, new StoredNonces(control.store));
    await loops.start();
    await eventually(async () => (await view()).state).toBe('valid');
    await loops.stop();
  });
});
