/** TLS at the router: certificates by host name, the redirect of a route, what is refused, what is warned of. */
import { request } from 'node:https';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AppDetail, CertificateAnswer, CertificateView, StatusResponse } from '../../src/shared/contracts/api.ts';
import { TestCa } from '../support/acme/ca.ts';
import { FakeAuthority } from '../support/acme/server.ts';
import { startPlatform, type Platform } from '../support/platform.ts';

const day = 86_400_000;
const host = 'shop.localhost';
let paas: Platform;
let ca: TestCa;
beforeAll(async () => {
  paas = await startPlatform();
  ca = await TestCa.make();
  await paas.ok(['push', 'shop', '-m', '100M'], { cwd: paas.source('probe') });
});
afterAll(() => paas.remove());

const status = () => paas.json<StatusResponse>(['status']);

interface Secure {
  status: number;
  /** Fingerprint of the certificate that the router showed. */
  shown: string;
}

/** A request over TLS, by a client that trusts `trusted` alone. */
async function getSecurely(name: string, trusted: string): Promise<Secure> {
  const url = await paas.waitFor('the router to listen for TLS', async () => (await status()).router.tlsUrl);
  const port = Number(new URL(url).port);
  const signal = AbortSignal.timeout(60_000);
  const headers = { host: `${name}:${port}` };
  let shown = '';
  return new Promise((resolve, reject) => {
    const where = { host: '127.0.0.1', port, servername: name, ca: trusted, headers, agent: false, signal };
    const outgoing = request(where, (answer) => {
      answer.once('error', reject).once('end', () => resolve({ status: answer.statusCode ?? 0, shown }));
      answer.resume();
    });
    outgoing.once('error', reject).once('socket', (socket: TLSSocket) => {
      socket.once('secureConnect', () => (shown = socket.getPeerX509Certificate()?.fingerprint256 ?? ''));
    });
    outgoing.end();
  });
}

function files(chain: string, key: string): string[] {
  const directory = paas.directory({ 'chain.pem': chain, 'key.pem': key });
  return ['--cert', join(directory, 'chain.pem'), '--key', join(directory, 'key.pem')];
}

describe('paas certs', () => {
  it('adds a self-signed one, with which the app is reached over TLS', async () => {
    const { stdout } = await paas.ok(['certs', 'add', host, '--self-signed']);
    expect(stdout).toMatch(/shop\.localhost +self-signed +- +shop\.localhost +\d{4}-\d\d-\d\d +valid/);
    const url = await paas.waitFor('the router to listen for TLS', async () => (await status()).router.tlsUrl);
    expect(url).toMatch(/^https:/);
    await expect(getSecurely(host, ca.root)).rejects.toThrow(/self-signed|unable to verify/i);
  });

  it('takes an own one in its place, with its chain', async () => {
    const { leaf, intermediate, key } = await ca.issue({ names: [host, '*.shop.localhost'], to: Date.now() + 10 * day });
    const answer = await paas.json<CertificateAnswer & CertificateView>(['certs', 'add', host, ...files(leaf + intermediate, key)]);
    expect(answer).toMatchObject({ source: 'uploaded', state: 'expiring', issuer: 'Test CA 1 (Test Trust)', warnings: [] });
    // At once: the command is done when the routers have it.
    const { status: code, shown } = await getSecurely(host, ca.root);
    expect([code, shown]).toEqual([200, new X509Certificate(leaf).fingerprint256]);
  }); // prettier-ignore

  it('warns of one that expires soon', async () => {
    const { warnings, certificates } = await status();
    expect(warnings.filter((text) => text.includes('certificate'))).toEqual([
      expect.stringMatching(/^the certificate of shop\.localhost expires on /),
    ]);
    expect(certificates).toEqual({ total: 1, valid: 1 });
  });

  it('sends plain requests on to https:// where the route says so, and the app has that address', async () => {
    await paas.ok(['routes', 'add', host, '--https', '-a', 'shop']);
    const { headers } = await paas.waitFor('the redirect', async () => {
      const answer = await paas.get('shop', '/a?b=c');
      return answer.status === 308 && answer;
    });
    const { urls } = await paas.json<AppDetail>(['app', 'shop']);
    expect(headers['location']).toBe(`${urls[0]!}/a?b=c`);
    expect(urls[0]).toMatch(/^https:\/\/shop\.localhost:\d+$/);
    expect((await paas.ok(['routes', '-a', 'shop'])).stdout).toContain('to https://');
    await paas.ok(['routes', 'add', host, '--no-https', '-a', 'shop']);
    await paas.waitFor('plain HTTP', async () => (await paas.get('shop')).status === 200);
  });

  it('refuses what clients would refuse, in words', async () => {
    const one = await ca.issue({ names: ['a.example.com'] });
    const two = await ca.issue({ names: ['a.example.com'] });
    const refused = async (code: number, words: RegExp, ...args: string[]): Promise<void> => {
      const result = await paas.cli(['certs', 'add', ...args, '--json']);
      expect([result.code, result.error.message], args.join(' ')).toEqual([code, expect.stringMatching(words)]);
    };
    const own = files(one.leaf + one.intermediate, one.key);
    await refused(3, /does not hold for b\.example\.com: it holds for a\.example\.com/, 'b.example.com', ...own);
    await refused(3, /does not belong/, 'a.example.com', ...files(one.leaf, two.key));
    await refused(2, /only for a proof by DNS/, '*.example.com', '--acme');
  });

  it('removes it: then the router shows none any more', async () => {
    await paas.ok(['certs', 'remove', host, '--yes']);
    await paas.waitFor('the router to end TLS', async () => (await status()).router.tlsUrl === null);
    expect(await paas.json(['certs'])).toEqual([]);
    expect((await paas.cli(['certs', 'remove', host, '--yes'])).code).toBe(5);
    // A host or instance that does not answer for a moment is an event, too.
    const events = (await paas.ok(['events', '--json'])).jsonLines<{ kind: string; target: string }>();
    const last = events.filter(({ kind }) => kind.startsWith('cert.')).at(-1);
    expect(last).toMatchObject({ kind: 'cert.removed', target: host });
  });

  it('gets one from an authority, which it proves the name to through the router', async () => {
    const authority = await FakeAuthority.start();
    try {
      authority.challengePort = paas.routerPort;
      authority.termsOfService = 'https://authority.example/terms';
      await paas.configure({ acme: { directory: authority.directory } });
      const refused = await paas.cli(['certs', 'add', host, '--acme', '--json']);
      expect([refused.code, refused.error.message]).toEqual([7, expect.stringContaining('authority.example/terms')]);
      await paas.ok(['certs', 'add', host, '--acme', '--agree-terms', '--email', 'ops@example.com']);
      const { status: code } = await paas.waitFor('it to be shown', () => getSecurely(host, authority.ca.root));
      expect(code).toBe(200);
      expect(await paas.json(['certs'])).toMatchObject([{ host, source: 'acme', state: 'valid', issuing: false }]);
    } finally {
      await authority.stop();
    }
  });
});
