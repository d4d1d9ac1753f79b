import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readConfig, settingsOf, type ServerConfig } from '../../../src/control/config.ts';
import { defaultCluster, defaultTiming } from '../../../src/control/settings.ts';

const directory = mkdtempSync(join(tmpdir(), 'paas-config-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const valid: ServerConfig = {
  dataDir: '/data',
  listen: { host: '127.0.0.1', port: 7070 },
  router: { driver: 'embedded', address: '127.0.0.1', port: 8080 },
  adminKey: { id: 'admin', secret: 'x'.repeat(32) },
};
let files = 0;
const read = (content: unknown, mode = 0o600) => {
  const path = join(directory, `${++files}.json`);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content), { mode });
  chmodSync(path, mode);
  return readConfig(path);
};

describe('the configuration file', () => {
  it('is read by its schema', () => {
    expect(read(valid)).toEqual(valid);
  });

  it('that others may read is refused: it holds secrets', () => {
    expect(() => read(valid, 0o640)).toThrow(
      expect.objectContaining({ code: 'not_allowed', hint: expect.stringContaining('chmod 600') as string }),
    );
  });

  it.each([
    ['an unknown key', { ...valid, lisen: 1 }, 'lisen'],
    ['a wrong type', { ...valid, listen: { host: '127.0.0.1', port: 'x' } }, 'listen.port'],
    ['a port that is none', { ...valid, listen: { host: '127.0.0.1', port: 70_000 } }, 'listen.port'],
    ['a secret that is too short', { ...valid, adminKey: { id: 'a', secret: 'short' } }, 'adminKey.secret'],
    ['a cluster without hosts', { ...valid, cluster: { maxHosts: 0 } }, 'cluster.maxHosts'],
    ['no JSON', '{"dataDir": ', 'not JSON'],
    ['nothing', '', 'not JSON'],
  ])('with %s is refused by its place, without values', (_, content, place) => {
    const reading = () => read(content);
    expect(reading).toThrow(
      expect.objectContaining({
        code: 'manifest_invalid',
        message: expect.stringContaining(`${files + 1}.json`) as string,
      }),
    );
    expect(reading).toThrow(expect.objectContaining({ message: expect.stringContaining(place) as string }));
    expect(reading).not.toThrow(expect.objectContaining({ message: expect.stringContaining('short') as string }));
  });
});

describe('settings', () => {
  it('have defaults for all that the configuration leaves out', () => {
    expect(settingsOf(valid)).toMatchObject({
      domain: 'localhost',
      cluster: defaultCluster,
      timing: defaultTiming,
      tls: null,
    });
    const some = settingsOf({ ...valid, cluster: { maxHosts: 9 }, timing: { tick: 5 } });
    expect(some.cluster).toEqual({ ...defaultCluster, maxHosts: 9 });
    expect(some.timing).toEqual({ ...defaultTiming, tick: 5 });
  });

  it('ask Let’s Encrypt for certificates, or the authority that is named, over https alone', () => {
    expect(settingsOf(valid).acme).toEqual({
      ...{ directory: 'https://acme-v02.api.letsencrypt.org/directory', email: null, termsOfServiceAgreed: false },
    });
    const own = { directory: 'https://ca.example/acme/acme/directory', ca: '/etc/ca.pem', email: 'ops@example.com' };
    expect(settingsOf(read({ ...valid, acme: own })).acme).toMatchObject(own);
    expect(() => settingsOf({ ...valid, acme: { directory: 'http://ca.example/directory' } })).toThrow(
      expect.objectContaining({ code: 'usage', message: expect.stringContaining('https') as string }),
    );
    expect(() => read({ ...valid, acme: { directory: 'nothing' } })).toThrow('acme.directory');
  });

  it.each(['127.0.0.1', '127.5.5.5', '::1', 'localhost'])('let %s listen without TLS', (host) => {
    expect(settingsOf({ ...valid, listen: { host, port: 1 } }).listen.host).toBe(host);
  });

  it.each(['0.0.0.0', '::', '192.168.0.1', '127.0.0.1.example.com'])('want TLS for %s', (host) => {
    expect(() => settingsOf({ ...valid, listen: { host, port: 1 } })).toThrow(
      expect.objectContaining({ code: 'usage' }),
    );
    const tls = { cert: 'c', key: 'k' };
    expect(settingsOf({ ...valid, listen: { host, port: 1 }, tls }).tls).toMatchObject(tls);
  });
});
