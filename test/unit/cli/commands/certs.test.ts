import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { CertificateView } from '../../../../src/shared/contracts/api.ts';
import { appDirectory, harness, shop } from './support.ts';

const cli = harness();
const pem = appDirectory({ 'cert.pem': 'CERT', 'key.pem': 'KEY' });
const [cert, key] = [join(pem, 'cert.pem'), join(pem, 'key.pem')];
afterAll(() => rmSync(pem, { recursive: true }));

const view = (more: Partial<CertificateView> = {}): CertificateView => ({
  ...{ host: 'shop.example.com', source: 'uploaded', state: 'valid', issuer: 'R11', names: ['shop.example.com'] },
  ...{ notBefore: '2026-11-01T00:00:00.000Z', expires: '2027-01-30T00:00:00.000Z', fingerprint: 'ab', issuing: false },
  ...{ renewsAt: null, attempts: 0, message: null, createdAt: '2026-11-21T10:00:00.000Z' },
  ...{ updatedAt: '2026-11-21T10:00:00.000Z', ...more },
});
const path = '/v1/certificates/shop.example.com';
const waiting = view({ source: 'acme', state: 'issuing', issuing: true, issuer: null, names: [], expires: null });
const failed = view({
  ...{ source: 'acme', state: 'failed', attempts: 1, message: 'ca.example says: no such name', expires: null },
  ...{ renewsAt: '2026-11-21T10:01:00.000Z', names: [], issuer: null },
});

describe('paas certs', () => {
  it('lists them with what they are for, and why a renewal failed', async () => {
    const certificates = [view(), failed];
    cli.api({ 'GET /v1/certificates': { certificates } });
    const { stdout } = await cli.paas(['certs']);
    expect(stdout).toBe(
      'HOST              SOURCE    ISSUER  NAMES             EXPIRES     STATE\n' +
        'shop.example.com  uploaded  R11     shop.example.com  2027-01-30  valid\n' +
        'shop.example.com  acme      -       -                 -           failed\n' +
        'shop.example.com: asking for it failed once, next at 2026-11-21T10:01:00.000Z: ca.example says: no such name\n',
    );
    expect((await cli.paas(['certs', '--json'])).json()).toEqual(certificates);
  });
});

describe('paas certs add', () => {
  it('sends the files, and prints warnings beside', async () => {
    cli.api({ [`PUT ${path}`]: { certificate: view(), warnings: ['The router has no port for TLS.'] } });
    const argv = ['certs', 'add', 'Shop.Example.com', '--cert', cert, '--key', key];
    const { code, stdout, stderr } = await cli.paas(argv);
    expect(cli.body('PUT')).toEqual({ source: 'uploaded', chain: 'CERT', key: 'KEY' });
    expect({ code, isWarned: stderr.includes('no port for TLS') }).toEqual({ code: 0, isWarned: true });
    expect(stdout).toContain('2027-01-30');
    expect((await cli.paas([...argv, '--json'])).json()).toMatchObject({
      state: 'valid',
      warnings: [expect.anything()],
    });
  });

  it('waits for the authority, until there is a certificate', async () => {
    const answers = [waiting, view({ source: 'acme' })];
    cli.api({
      [`PUT ${path}`]: { certificate: waiting, warnings: [] },
      [`GET ${path}`]: () => answers.shift()!,
    });
    const { code, json } = await cli.paas(['certs', 'add', 'shop.example.com', '--acme', '--agree-terms', '--json']);
    expect({ code, state: (json() as CertificateView).state }).toEqual({ code: 0, state: 'valid' });
    expect(cli.body('PUT')).toEqual({ source: 'acme', termsAgreed: true });
  });

  it('gives the words of an authority that refuses, with exit 7', async () => {
    cli.api({ [`PUT ${path}`]: { certificate: waiting, warnings: [] }, [`GET ${path}`]: failed });
    const { code, stderr } = await cli.paas(['certs', 'add', 'shop.example.com', '--acme']);
    expect(code).toBe(7);
    expect(stderr).toContain('ca.example says: no such name');
  });

  it('gives up waiting when it is told to, while the platform goes on', async () => {
    cli.api({ [`PUT ${path}`]: { certificate: waiting, warnings: [] }, [`GET ${path}`]: waiting });
    const argv = ['certs', 'add', 'shop.example.com', '--acme'];
    expect((await cli.paas([...argv, '--no-wait'])).code).toBe(0);
    const late = await cli.paas([...argv, '--timeout', '1s']);
    expect(late).toMatchObject({ code: 9, stderr: expect.stringContaining('It goes on') as string });
  });

  it.each([
    [['shop.example.com'], /one of --cert with --key, --self-signed and --acme/],
    [['shop.example.com', '--cert', cert], /--key is missing/],
    [['shop.example.com', '--self-signed', '--acme'], /one of/],
    [['shop.example.com', '--self-signed', '--email', 'a@b.c'], /for --acme/],
    [['shop.example.com/path', '--self-signed'], /not a host name/],
  ])('refuses %j with exit 2', async (argv, words) => {
    const { code, stderr } = await cli.paas(['certs', 'add', ...argv]);
    expect({ code, asked: cli.asked() }).toEqual({ code: 2, asked: [] });
    expect(stderr).toMatch(words);
  });

  it('names a file that is not there', async () => {
    const argv = ['certs', 'add', 'shop.example.com', '--cert', '/none', '--key', key];
    expect(await cli.paas(argv)).toMatchObject({ code: 5, stderr: expect.stringContaining('--cert: /none') as string });
  });
});

describe('paas certs remove', () => {
  it('takes it away', async () => {
    cli.api({ 'DELETE /v1/certificates/*.example.com': { host: '*.example.com', removed: true } });
    const { code, json } = await cli.paas(['certs', 'remove', '*.example.com', '--yes', '--json']);
    expect({ code, json: json() }).toEqual({ code: 0, json: { host: '*.example.com', removed: true } });
  });

  it('takes nothing away that nobody has confirmed, since the key is gone then', async () => {
    const { code, stderr } = await cli.paas(['certs', 'remove', '*.example.com']);
    expect({ code, asked: cli.asked() }).toEqual({ code: 2, asked: [] });
    expect(stderr).toContain('--yes');
  });
});

describe('paas routes add', () => {
  it('sends plain HTTP on to https:// with --https, and no more with --no-https', async () => {
    cli.api({ [`POST ${shop}/routes`]: { route: 'a.com', changed: true, warnings: [] } });
    const argv = ['routes', 'add', 'a.com', '-a', 'shop'];
    expect((await cli.paas([...argv, '--https'])).stdout).toBe('a.com leads to shop, over https:// only.\n');
    expect(cli.body('POST')).toEqual({ route: 'a.com', https: true });
    await cli.paas([...argv, '--no-https']);
    expect(cli.body('POST')).toEqual({ route: 'a.com', https: false });
    await cli.paas(argv);
    expect(cli.body('POST')).toEqual({ route: 'a.com' });
    expect((await cli.paas([...argv, '--https', '--no-https'])).code).toBe(2);
  });
});
