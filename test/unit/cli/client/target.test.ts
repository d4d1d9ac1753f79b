import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  choosePlatform,
  currentTarget,
  forgetPlatform,
  isLoopback,
  normalizeUrl,
  paasHome,
  readTargets,
  savePlatform,
  saveScope,
} from '../../../../src/cli/client/index.ts';

let home: string;
beforeEach(() => {
  home = join(mkdtempSync(join(tmpdir(), 'paas-home-')), 'inner');
});
afterEach(() => {
  rmSync(join(home, '..'), { recursive: true, force: true });
});

const local = { url: 'http://127.0.0.1:7070', keyId: 'k1', keySecret: 's1' };
const cloud = { url: 'https://paas.example.com', keyId: 'k2', keySecret: 's2' };
const target = (env: Record<string, string> = {}) => currentTarget({ PAAS_HOME: home, ...env });

describe('the target', () => {
  it('is missing at first, which says what to run', () => {
    expect(() => target()).toThrow(
      expect.objectContaining({ code: 'not_authenticated', exit: 4, hint: expect.stringContaining('paas up') }),
    );
  });

  it('is the platform saved last, with its default project and environment', () => {
    savePlatform(home, { ...local, url: 'http://127.0.0.1:7070/' });
    savePlatform(home, cloud);
    expect(target()).toEqual({ ...cloud, from: 'file', project: 'default', environment: 'dev' });
    choosePlatform(home, local.url);
    expect(target().url).toBe(local.url);
    expect(() => choosePlatform(home, 'https://other')).toThrow(expect.objectContaining({ code: 'not_found' }));
  });

  it('keeps what was chosen on each platform, over a new login', () => {
    savePlatform(home, cloud);
    saveScope(home, cloud.url, { project: 'store' });
    saveScope(home, cloud.url, { environment: 'prod' });
    savePlatform(home, { ...cloud, keySecret: 'new' });
    expect(target()).toMatchObject({ keySecret: 'new', project: 'store', environment: 'prod' });
    expect(target({ PAAS_PROJECT: 'p', PAAS_ENV: 'e' })).toMatchObject({ project: 'p', environment: 'e' });
  });

  it('is forgotten on logout', () => {
    savePlatform(home, local);
    savePlatform(home, cloud);
    expect(forgetPlatform(home, cloud.url)).toBe(true);
    expect(forgetPlatform(home, cloud.url)).toBe(false);
    expect(readTargets(home)).toEqual({ current: null, platforms: [local] });
    expect(readFileSync(join(home, 'target.json'), 'utf8')).not.toContain('s2');
  });

  it('comes from the environment before all else', () => {
    savePlatform(home, local);
    const env = { PAAS_URL: `${cloud.url}/`, PAAS_KEY_ID: 'k', PAAS_KEY_SECRET: 's' };
    expect(target(env)).toMatchObject({ url: cloud.url, keyId: 'k', keySecret: 's', from: 'environment' });
    expect(target({ PAAS_URL: local.url })).toMatchObject({ keyId: 'k1', from: 'file' });
  });

  it.each([
    [{ PAAS_URL: 'https://h' }, 'not_authenticated', 'no key is known'],
    [{ PAAS_URL: 'https://h', PAAS_KEY_ID: 'k' }, 'not_authenticated', 'PAAS_KEY_SECRET is not'],
    [{ PAAS_URL: 'https://h', PAAS_KEY_SECRET: 's3cret' }, 'not_authenticated', 'PAAS_KEY_ID is not'],
    [{ PAAS_KEY_ID: 'k' }, 'usage', 'PAAS_URL is not'],
    [{ PAAS_URL: 'nonsense', PAAS_KEY_ID: 'k', PAAS_KEY_SECRET: 's3cret' }, 'usage', 'nonsense'],
  ])('refuses %j', (env, code, text) => {
    expect(() => target(env)).toThrow(expect.objectContaining({ code, message: expect.stringContaining(text) }));
    expect(() => target(env)).not.toThrow('s3cret');
  });

  it('does not send anything unencrypted to another machine, unless that was accepted', () => {
    const remote = { ...cloud, url: 'http://paas.example.com' };
    savePlatform(home, remote);
    expect(() => target()).toThrow(expect.objectContaining({ code: 'not_allowed', exit: 4 }));
    expect(target({ PAAS_ALLOW_HTTP: '1' }).url).toBe(remote.url);
    savePlatform(home, { ...remote, allowHttp: true });
    expect(target().allowHttp).toBe(true);
  });

  it('is kept where only its owner can read it', () => {
    savePlatform(home, local);
    expect(statSync(join(home, 'target.json')).mode & 0o777).toBe(0o600);
    expect(statSync(home).mode & 0o777).toBe(0o700);
  });

  it.each(['', '{', '[]', '{"version":2,"platforms":[]}', '{"version":1,"platforms":[{"url":"https://h"}]}'])(
    'that is damaged is named, not guessed: %j',
    (content) => {
      savePlatform(home, local);
      writeFileSync(join(home, 'target.json'), content);
      expect(() => target()).toThrow(
        expect.objectContaining({ code: 'corrupt', message: expect.stringContaining(join(home, 'target.json')) }),
      );
    },
  );

  it('lies in ~/.paas by default', () => {
    expect(paasHome({})).toMatch(/\/\.paas$/);
    expect(paasHome({ PAAS_HOME: '/x' })).toBe('/x');
  });
});

describe('URLs of platforms', () => {
  it.each([
    ['HTTPS://Paas.Example.com:443/', 'https://paas.example.com'],
    ['http://h:7070/base/?q#f', 'http://h:7070/base'],
  ])('%s is %s', (url, normal) => {
    expect(normalizeUrl(url)).toBe(normal);
  });

  it.each(['ftp://h', 'h:7070', 'http://user:pw@h', ''])('%j is none', (url) => {
    expect(() => normalizeUrl(url)).toThrow(expect.objectContaining({ code: 'usage' }));
  });

  it.each([
    ['http://localhost:1', true],
    ['http://127.9.8.7', true],
    ['http://[::1]:1', true],
    ['http://app.localhost', true],
    ['http://127.example.com', false],
    ['http://192.168.0.1', false],
  ])('%s is on this machine: %s', (url, expected) => {
    expect(isLoopback(url)).toBe(expected);
  });
});
