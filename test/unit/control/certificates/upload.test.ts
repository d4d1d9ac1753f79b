import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { connect, createServer as createTlsServer } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { retryAfter, renewAt } from '../../../../src/control/certificates/schedule.ts';
import { selfSigned } from '../../../../src/control/certificates/self-signed.ts';
import { certificateWarnings, type CertificateRow } from '../../../../src/control/certificates/view.ts';
import { TestCa, type Leaf } from '../../../support/acme/ca.ts';
import { TestApi, type Answer } from '../../../support/api.ts';
import { makeControl, type TestControl } from '../../../support/control.ts';

const day = 86_400_000;
let ca: TestCa;
let shop: Leaf;
let other: Leaf;
beforeAll(async () => {
  ca = await TestCa.make();
  shop = await ca.issue({ names: ['shop.example.com', '*.shop.example.com'] });
  other = await ca.issue({ names: ['shop.example.com'] });
});

let control: TestControl;
let api: TestApi;
beforeEach(async () => {
  const router = { driver: 'embedded', address: '127.0.0.1', port: 8080, tlsPort: 0 };
  control = await makeControl({ settings: { router } });
  api = await TestApi.of(control);
});
afterEach(() => control.close());

const put = (host: string, body: object): Promise<Answer> => api.call('PUT', `/v1/certificates/${host}`, { body });
const upload = (chain: string, key: string, host = 'shop.example.com'): Promise<Answer> =>
  put(host, { source: 'uploaded', chain, key });
const errorOf = ({ body }: Answer) => body['error'] as { code: string; message: string; hint: string };

describe('an uploaded certificate', () => {
  it('comes to the routers with its key, which is sealed at rest and in no answer or event', async () => {
    const answer = await upload(shop.leaf + shop.intermediate, shop.key);
    expect(answer.body).toMatchObject({
      certificate: { host: 'shop.example.com', source: 'uploaded', state: 'valid', issuer: 'Test CA 1 (Test Trust)' },
      warnings: [],
    });
    await control.routing.reconcile();
    const [shown] = control.routing.tableForRouters().certificates!;
    expect(new X509Certificate(shown!.chain).fingerprint256).toBe(new X509Certificate(shop.leaf).fingerprint256);
    expect(shown).toMatchObject({ hosts: ['shop.example.com'], key: shop.key });
    const rows = await control.store.db.selectFrom('certificates').selectAll().execute();
    const kept = await control.store.db.selectFrom('meta').selectAll().execute();
    const events = await control.events.list({});
    const list = await api.get('/v1/certificates');
    const secret = shop.key.split('\n')[1]!;
    expect(JSON.stringify([rows, kept, events, list.body, answer.body])).not.toContain(secret);
    expect(events.map(({ kind, target }) => [kind, target])).toEqual([['cert.added', 'shop.example.com']]);
  });

  it('may stand in one file with its key, and have a root at its end', async () => {
    const file = shop.key + shop.leaf + shop.intermediate + ca.root;
    expect((await upload(file, file)).status).toBe(200);
    const { chain } = await control.store.db.selectFrom('certificates').select('chain').executeTakeFirstOrThrow();
    expect(chain).not.toContain('PRIVATE');
  });

  it('takes the place of the one before, and is gone when it is removed', async () => {
    await upload(other.leaf + other.intermediate, other.key);
    await upload(shop.leaf + shop.intermediate, shop.key);
    const { body } = await api.get('/v1/certificates');
    expect(body['certificates']).toMatchObject([{ names: ['shop.example.com', '*.shop.example.com'] }]);
    expect((await api.call('DELETE', '/v1/certificates/shop.example.com')).body).toMatchObject({ removed: true });
    await control.routing.reconcile();
    expect(control.routing.table.certificates).toBeUndefined();
    expect((await api.call('DELETE', '/v1/certificates/shop.example.com')).code).toBe('not_found');
  });

  it('may be a wildcard, for the names one label below', async () => {
    expect((await upload(shop.leaf + shop.intermediate, shop.key, '*.shop.example.com')).status).toBe(200);
    expect((await upload(shop.leaf + shop.intermediate, shop.key, 'a.shop.example.com')).status).toBe(200);
    expect((await upload(shop.leaf + shop.intermediate, shop.key, 'a.b.shop.example.com')).status).toBe(422);
    expect((await upload(other.leaf + other.intermediate, other.key, '*.example.com')).status).toBe(422);
  });

  it('warns where the issuer is missing from the chain, and where no router listens for TLS', async () => {
    const { router } = control.settings;
    control.settings.router = { ...router, tlsPort: undefined };
    const { body } = await upload(shop.leaf, shop.key);
    expect(body['warnings']).toEqual([
      expect.stringContaining('Test CA 1'),
      expect.stringContaining('no port for TLS'),
    ]);
  });

  const encrypted = () =>
    generateKeyPairSync('ec', { namedCurve: 'P-256' })
      .privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
      .toString();
  const rsa1024 = () => generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
  const cases: [what: string, files: () => Promise<[string, string]> | [string, string], words: RegExp][] = [
    ['no PEM', () => ['nothing', shop.key], /no certificate in the file/],
    ['no key', () => [shop.leaf, 'nothing'], /no private key/],
    ['damage', () => [shop.leaf.replace(/.{40}\n/, `${'A'.repeat(40)}\n`), shop.key], /Certificate 1 of the file/],
    ['a damaged key', () => [shop.leaf, shop.key.replace(/\n.{20}/, `\n${'A'.repeat(20)}`)], /key cannot be read/],
    ['a key of another certificate', () => [shop.leaf, other.key], /does not belong to the certificate/],
    ['a passphrase', () => [shop.leaf, encrypted()], /passphrase/],
    ['a small key', () => [shop.leaf, String(rsa1024().export({ type: 'pkcs8', format: 'pem' }))], /1024 bits/],
    ['the wrong order', () => [shop.intermediate + shop.leaf, shop.key], /not in order: the key belongs to certificate 2/],
    ['a strange chain', () => [shop.leaf + other.leaf, shop.key], /certificate 2 is not that of Test CA 1/],
    ['another host', async () => parts(await ca.issue({ names: ['a.example.com'] })), /it holds for a\.example\.com/],
    ['no name', async () => parts(await ca.issue({ names: [] })), /no name at all/],
    ['an old one', async () => parts(await ca.issue({ names: ['shop.example.com'], from: Date.now() - 90 * day, to: Date.now() - day })), /has expired on/],
    ['an early one', async () => parts(await ca.issue({ names: ['shop.example.com'], from: Date.now() + day })), /holds only from/],
  ]; // prettier-ignore
  const parts = ({ leaf, intermediate, key }: Leaf): [string, string] => [leaf + intermediate, key];

  it.each(cases)('is refused for %s, in words that do not quote the key', async (_, files, words) => {
    const [chain, key] = await files();
    const answer = await upload(chain, key);
    const { code, message, hint } = errorOf(answer);
    expect({ code, status: answer.status }).toEqual({ code: 'certificate_invalid', status: 422 });
    expect(message).toMatch(words);
    expect(hint).not.toBe('');
    for (const line of key.split('\n').slice(1, -2)) expect(JSON.stringify(answer.body)).not.toContain(line);
    expect((await api.get('/v1/certificates')).body).toEqual({ certificates: [] });
  });

  it.each(['127.0.0.1', 'a_b', 'a.com:443', '%2F', 'x.*.com'])('is refused for the host %s', async (host) => {
    expect((await upload(shop.leaf, shop.key, host)).code).toBe('usage');
  });
});

describe('a self-signed certificate', () => {
  it('is what a TLS server shows, and clients verify that trust it', async () => {
    const { chain, key, notAfter } = await selfSigned('localhost');
    expect(notAfter - Date.now()).toBeLessThan(825 * day);
    const server = createTlsServer({ cert: chain, key }, (socket) => socket.end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const isTrusted = await new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ca: chain }, () => {
        resolve(socket.authorized);
        socket.destroy();
      }).once('error', reject);
    });
    server.close();
    expect(isTrusted).toBe(true);
  });

  it('holds for its host alone, as OpenSSL reads it', async () => {
    const { body } = await put('*.localhost', { source: 'self-signed' });
    expect(body['certificate']).toMatchObject({ names: ['*.localhost'], source: 'self-signed', state: 'valid' });
    const { chain } = await control.store.db.selectFrom('certificates').select('chain').executeTakeFirstOrThrow();
    const text = execFileSync('openssl', ['x509', '-noout', '-text'], { input: chain!, encoding: 'utf8' });
    expect(text).toMatch(/DNS:\*\.localhost/);
    expect(text).toMatch(/TLS Web Server Authentication/);
    expect(text).toMatch(/CA:FALSE/);
  });
});

describe('times', () => {
  it('are a third of the life before the end, for renewals', () => {
    expect(renewAt(0, 90 * day)).toBe(60 * day);
    expect(renewAt(0, 6 * day)).toBe(4 * day);
  });

  it('grow from a minute to a day after failures, and heed the authority', () => {
    expect([1, 2, 3, 11, 12, 500].map((n) => retryAfter(n) / 60_000)).toEqual([1, 2, 4, 1024, 1440, 1440]);
    expect(retryAfter(1, 3_600_000)).toBe(3_600_000);
    expect(retryAfter(1, 365 * day)).toBe(7 * day);
  });

  it('are warned of in the status: expired, and within 14 days', () => {
    const now = Date.parse('2026-11-21T00:00:00Z');
    const row = (host: string, days: number, more = {}): CertificateRow => ({
      ...{ host, source: 'uploaded', chain: 'x', key: 'x', not_after: now + days * day, next_at: null, attempts: 0 },
      ...{ message: null, challenge: null, issuance: null, created_at: 0, updated_at: 0, ...more },
    });
    const rows = [row('a', 15), row('b', 14), row('c', -1), row('d', 3, { attempts: 2, message: 'no answer' })];
    expect(certificateWarnings(rows, now)).toEqual([
      'the certificate of b expires on 2026-12-05',
      'the certificate of c has expired on 2026-11-20',
      'the certificate of d expires on 2026-11-24; its renewal failed: no answer',
    ]);
  });
});
