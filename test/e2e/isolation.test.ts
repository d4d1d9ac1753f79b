/** Apps do not see one another, nor the platform. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { startPlatform, type Platform } from '../support/platform.ts';
import { requireOrSkip } from '../support/skip.ts';

const open: Platform[] = [];
afterAll(async () => {
  for (const paas of open) await paas.remove();
});

/** A platform with two apps, of which the first has a secret. */
async function neighbours(runtime: 'sandbox' | 'process', home: 'open' | 'closed'): Promise<Platform> {
  const paas = await startPlatform({ home });
  open.push(paas);
  if (runtime === 'process') await paas.configure({ cluster: { runtime } });
  const cwd = paas.source('probe', { 'own.txt': 'private to alice' });
  await paas.ok(['push', 'alice', '--config', 'SECRET=alices-secret-value'], { cwd });
  await paas.ok(['push', 'mallory'], { cwd: paas.source('probe') });
  return paas;
}

/** What mallory sees at these paths; each must be refused or not there. */
async function expectHidden(paas: Platform, paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const { text } = await paas.get('mallory', `/look?path=${encodeURIComponent(path)}`);
    expect(text, path).toMatch(/^(ENOENT|EACCES|EPERM|ENOTDIR)$/);
  }
}

const isRoot = process.getuid?.() === 0;

describe.each([
  ['sandbox', 'closed'],
  ['process', 'open'],
] as const)('in the %s runtime, with a home that is %s', (runtime, home) => {
  it('an app cannot read the files of another or of the platform, nor look into its processes', async (context) => {
    requireOrSkip(context, isRoot, 'users of their own for apps (root)');
    const paas = await neighbours(runtime, home);
    const row = (await paas.ps('alice'))[0];
    const instances = paas.processes().others.map(({ command }) => /(\/\S*\/instances\/)\S/.exec(command)?.[1]);
    const directory = instances.find((path) => path !== undefined) ?? '';
    expect(directory).not.toBe('');
    const platform = join(paas.home, 'platform');
    await expectHidden(paas, [
      join(platform, 'config.json'),
      join(platform, 'server', 'master.key'),
      join(platform, 'server', 'paas.db'),
      join(platform, 'cloud', 'credentials.json'),
      join(platform, 'cloud', 'state.json'),
      join(paas.home, 'target.json'),
      join(paas.home, 'logs', 'server.log'),
      join(directory, row?.id ?? ''),
      join(directory, row?.id ?? '', 'app', 'own.txt'),
      join(directory, row?.id ?? '', 'logs', 'stdout.log'),
      join(directory, '..', 'key.json'),
      join(directory, '..', '..', 'user-data'),
      '/root/.ssh',
      '/etc/shadow',
    ]);
    expect((await paas.get('alice', '/look?path=own.txt')).text).toBe('private to alice');
    // Environments and memory of the others' processes, among them the server's.
    const pids = [...paas.processes().servers, ...paas.processes().agents, ...paas.processes().others].map(
      ({ pid }) => pid,
    );
    for (const pid of pids) {
      const { text } = await paas.get('mallory', `/look?path=/proc/${pid}/environ`);
      expect(text).not.toContain('alices-secret-value');
      expect(text).not.toContain('PAAS_HOST_MARK=');
    }
    if (runtime === 'sandbox') {
      const seen = (await paas.get('mallory', '/look?path=/proc')).text
        .split('\n')
        .filter((name) => /^\d+$/.test(name));
      expect(seen.length).toBeLessThan(10);
    }
    // Not by way of commands inside an instance either.
    const inside = await paas.cli([
      'exec',
      'web.1',
      '-a',
      'mallory',
      '--',
      'sh',
      '-c',
      `cat ${join(platform, 'server', 'master.key')}; id -u; touch /etc/mine /usr/mine`,
    ]);
    expect(inside.stdout.trim()).toMatch(/^\d{5,}$/);
    expect(inside.code).not.toBe(0);
    expect((await paas.json<{ warnings: string[] }>(['status'])).warnings.join()).not.toContain('not isolated');
  });

  it('an app sees no variables of the platform, and what its config says', async (context) => {
    requireOrSkip(context, isRoot, 'users of their own for apps (root)');
    const paas = open.at(-1)!;
    const env = JSON.parse((await paas.get('alice', '/all-env')).text) as Record<string, string>;
    expect(env).toMatchObject({
      SECRET: 'alices-secret-value',
      PAAS_APP_NAME: 'alice',
      PAAS_ENVIRONMENT: 'dev',
      PAAS_PROJECT_NAME: 'default',
    });
    const known = /^(PAAS_(APP_NAME|PROJECT_NAME|ENVIRONMENT|RELEASE|INSTANCE|INSTANCE_ID))$/;
    expect(Object.keys(env).filter((name) => name.startsWith('PAAS_') && !known.test(name))).toEqual([]);
    for (const name of ['NODE_EXTRA_CA_CERTS', 'NPM_TOKEN', 'VITEST', 'PAAS_HOST_MARK'])
      expect(env).not.toHaveProperty(name);
    expect(statSync(env['HOME']!, { throwIfNoEntry: false })?.uid ?? 1).not.toBe(0);
  });
});

describe('files of the platform', () => {
  it('are private to their owner', (context) => {
    requireOrSkip(context, open.length > 0, 'a platform of the tests before');
    const paas = open[0]!;
    for (const path of ['platform', 'platform/server', 'platform/cloud', 'logs']) {
      expect(statSync(join(paas.home, path)).mode & 0o077, path).toBe(0);
    }
    for (const path of [
      'platform/config.json',
      'platform/server/master.key',
      'platform/cloud/credentials.json',
      'target.json',
      'logs/server.log',
    ]) {
      expect(statSync(join(paas.home, path)).mode & 0o077, path).toBe(0);
    }
  });
});
