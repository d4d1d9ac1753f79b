/** What scripts rely on: the JSON of docs, exit codes, and that nothing ever waits for input. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPlatform, type Platform } from '../support/platform.ts';

let paas: Platform;
beforeAll(async () => {
  paas = await startPlatform();
  await paas.ok(['push', 'shown'], { cwd: paas.source('probe') });
});
afterAll(() => paas.remove());

const fields = (value: unknown): string[] => Object.keys(value as object);

describe('JSON', () => {
  it.each([
    ['apps', 'name project environment state release instances urls'],
    ['ps -a shown', 'name type release state host address port startedAt restarts cpu memory'],
    ['releases -a shown', 'version createdAt by description image current'],
    ['hosts', 'name cluster cloud cloudId address roles state agentVersion capacity used lastSeen'],
    ['routes -a shown', 'route url process'],
    ['clouds', 'name driver'],
    ['clusters', 'name cloud engine'],
  ])('of `paas %s` is an array of objects with the documented fields', async (command, documented) => {
    const rows = await paas.json<unknown[]>(command.split(' '));
    expect(rows.length).toBeGreaterThan(0);
    for (const row of rows) expect(fields(row)).toEqual(expect.arrayContaining(documented.split(' ')));
  });

  it.each([
    ['status', 'server router cloud hosts apps warnings'],
    ['app shown', 'name state release urls formation routes'],
    ['whoami', 'principal'],
    ['config -a shown', ''],
    ['scale -a shown', 'web'],
    ['rollout status -a shown', 'rollout'],
  ])('of `paas %s` is one object', async (command, documented) => {
    expect(fields(await paas.json(command.split(' ')))).toEqual(
      expect.arrayContaining(documented.split(' ').filter(Boolean)),
    );
  });

  it('of `paas status` has every part', async () => {
    expect(await paas.json(['status'])).toMatchObject({
      server: { url: paas.url, version: expect.stringMatching(/^\d/), state: 'ready' },
      router: { url: `http://127.0.0.1:${paas.routerPort}`, driver: 'embedded', tableVersion: expect.any(Number) },
      cloud: { driver: 'speedycloud' },
      hosts: { total: 2, ready: 2 },
      apps: { total: 1, healthy: 1 },
      certificates: { total: 0, valid: 0 },
      warnings: expect.any(Array),
    });
  });

  it('of `paas push` has the documented fields, and nothing else is on standard output', async () => {
    const documented = [
      'app',
      'project',
      'environment',
      'release',
      'changed',
      'url',
      'upload',
      'build',
      'rollout',
      'durationMs',
    ];
    const cwd = paas.source('probe');
    const { stdout, stderr } = await paas.ok(['push', 'jsonned', '--json'], { cwd });
    const result = JSON.parse(stdout);
    expect(fields(result)).toEqual(expect.arrayContaining(documented));
    expect(fields(result.upload)).toEqual(['files', 'bytes']);
    expect(fields(result.build)).toEqual(['stack', 'cached', 'durationMs']);
    expect(result.durationMs).toBeGreaterThan(0);
    expect(stderr).toContain('web.1 of v1 is healthy');
    expect(fields(await paas.json(['push', 'jsonned', '--dry-run'], { cwd }))).toEqual([
      'app',
      'changed',
      'plan',
      'upload',
    ]);
  });
});

describe('plain output', () => {
  it('has no colours and no cursor movements when it is not on a terminal', async () => {
    const cwd = paas.source('probe');
    for (const command of [
      ['push', 'plain'],
      ['ps', '-a', 'plain'],
      ['logs', '-a', 'plain'],
      ['status'],
      ['events'],
      ['apps', 'nonsense'],
    ]) {
      const { stdout, stderr } = await paas.cli(command, { cwd });
      expect(stdout + stderr, command.join(' ')).not.toMatch(/[\u001b\r]/);
    }
  });

  it('tells its version, and helps with every command', async () => {
    expect((await paas.ok(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    const help = (await paas.ok(['--help'])).stdout;
    for (const command of ['push', 'scale', 'logs', 'rollback', 'config', 'hosts']) {
      expect(help).toContain(command);
      expect((await paas.ok([command, '--help'])).stdout).toContain('--json');
    }
    expect((await paas.ok(['ps:--help'.replace(':', ' ').split(' ')[0]!, '--help'])).stdout).toContain('paas ps');
    expect((await paas.ok(['config:get', 'X', '--help'])).stdout).toContain('config get');
  });
});

describe('exit codes', () => {
  const code = async (args: string[], options = {}): Promise<[number, string]> => {
    const result = await paas.cli([...args, '--json'], options);
    return [result.code, result.error.code];
  };

  it('2 for a command line that cannot be understood', async () => {
    expect(await code(['pish'])).toEqual([2, 'usage']);
    expect((await paas.cli(['pish'])).stderr).toContain('Did you mean `paas push`');
    expect(await code(['ps', '--colour'])).toEqual([2, 'usage']);
    expect(await code(['logs', '-a', 'shown', '-n', 'many'])).toEqual([2, 'usage']);
    expect(await code(['ps'], { cwd: paas.directory() })).toEqual([2, 'usage']);
    expect(await code(['push', 'Not_A_Name'], { cwd: paas.source('probe') })).toEqual([2, 'usage']);
    expect(await code(['push', 'x', '--image', 'nginx:1'])).toEqual([2, 'unsupported']);
  });

  it('3 for a manifest that is wrong, with line, column and the nearest known key', async () => {
    const cwd = paas.source('probe', { 'paas.yml': 'name: bad\nprocesses:\n  web: { comand: node server.js }\n' });
    const result = await paas.cli(['push'], { cwd });
    expect(result.code).toBe(3);
    expect(result.stderr).toMatch(/paas\.yml:3:10/);
    expect(result.stderr).toContain('command');
    const bad = async (yaml: string): Promise<string> => {
      writeFileSync(join(cwd, 'paas.yml'), yaml);
      const refused = await paas.cli(['push', '--json'], { cwd });
      expect(refused.code, refused.toString()).toBe(3);
      return refused.error.message;
    };
    expect(await bad('name: bad\nprocesses: { web: { instances: many } }\n')).toMatch(/2:\d+/);
    expect(await bad('name: bad\nname: worse\n')).toMatch(/2:1/);
    expect(await bad('name: [\n')).toMatch(/paas\.yml/);
    expect(await paas.app('bad')).toBeUndefined();
  });

  it('4 without a platform, with a wrong key, with half of the variables', async () => {
    const env = { PAAS_HOME: paas.directory() };
    const none = await paas.cli(['apps'], { env });
    expect(none.code).toBe(4);
    expect(none.stderr).toContain('paas up');
    const keys = { PAAS_URL: paas.url, PAAS_KEY_ID: 'key_nobody', PAAS_KEY_SECRET: 'x'.repeat(43) };
    expect(await code(['apps'], { env: { ...env, ...keys } })).toEqual([4, 'not_authenticated']);
    expect(await code(['apps'], { env: { ...env, PAAS_URL: paas.url } })).toEqual([4, 'not_authenticated']);
  });

  it('5 for what is not there', async () => {
    for (const args of ['ps', 'logs', 'config', 'routes', 'releases', 'rollback', 'restart', 'stop', 'events']) {
      expect(await code([args, '-a', 'nobody'])).toEqual([5, 'not_found']);
    }
    expect(await code(['destroy', 'nobody', '--yes'])).toEqual([5, 'not_found']);
    expect(await code(['scale', 'web=2', '-a', 'nobody'])).toEqual([5, 'not_found']);
    expect(await code(['hosts', 'drain', 'nobody'])).toEqual([5, 'not_found']);
  });

  it('10 when the platform does not answer', async () => {
    const keys = { PAAS_URL: 'http://127.0.0.1:9', PAAS_KEY_ID: 'key_x', PAAS_KEY_SECRET: 'x'.repeat(43) };
    expect(await code(['apps'], { env: keys })).toEqual([10, 'unavailable']);
    expect(await code(['push', 'x'], { env: keys, cwd: paas.source('probe') })).toEqual([10, 'unavailable']);
  });
});

describe('targets', () => {
  it('are chosen by variables, as a Jenkins job does, and by `paas target`', async () => {
    const { adminKey } = JSON.parse(await readConfig());
    const env = {
      PAAS_HOME: paas.directory(),
      PAAS_URL: paas.url,
      PAAS_KEY_ID: adminKey.id,
      PAAS_KEY_SECRET: adminKey.secret,
    };
    expect((await paas.json<unknown[]>(['apps'], { env })).length).toBeGreaterThan(0);
    expect(await paas.json(['whoami'], { env })).toMatchObject({ principal: 'key:local-admin' });
    const target = await paas.ok(['target', '--json']);
    expect(target.stdout).toContain(paas.url);
    expect(target.stdout).not.toContain(adminKey.secret);
  });

  it('the app is found by argument, flag, variable or manifest', async () => {
    const cwd = paas.source('probe', { 'paas.yml': 'name: shown\n' });
    const names = async (args: string[], options = {}): Promise<string> =>
      (await paas.json<{ name: string }>(['app', ...args], options)).name;
    expect(await names(['shown'])).toBe('shown');
    expect(await names(['-a', 'shown'])).toBe('shown');
    expect(await names([], { env: { PAAS_APP: 'shown' } })).toBe('shown');
    expect(await names([], { cwd })).toBe('shown');
  });
});

async function readConfig(): Promise<string> {
  const { readFile } = await import('node:fs/promises');
  return readFile(join(paas.home, 'platform', 'config.json'), 'utf8');
}
