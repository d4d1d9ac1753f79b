/** Hosts: made when there is need, spread over, drained, removed; and base images that they run apps on. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, copyFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostRow } from '../../src/shared/contracts/api.ts';
import { startPlatform, type Platform } from '../support/platform.ts';
import { requireOrSkip } from '../support/skip.ts';

let paas: Platform;
beforeAll(async () => {
  paas = await startPlatform({ flags: ['--max-hosts', '3', '--host-memory', '1G'] });
});
afterAll(() => paas.remove());

const hosts = (): Promise<HostRow[]> => paas.json<HostRow[]>(['hosts']);
const compute = async (): Promise<HostRow[]> => (await hosts()).filter(({ roles }) => roles.includes('compute'));

describe('paas hosts', () => {
  it('makes the first host with the first push, and tells all about it', async () => {
    expect(await compute()).toEqual([]);
    await paas.ok(['push', 'wide', '-m', '400M'], { cwd: paas.source('probe') });
    const [host] = await compute();
    expect(host).toMatchObject({
      name: 'host-1',
      cluster: 'main',
      cloud: 'local',
      state: 'ready',
      used: { memory: 400 },
    });
    expect(host?.capacity.memory).toBe(1024);
    expect(host?.address).toMatch(/^127\./);
    expect(host?.agentVersion).toMatch(/^\d+\.\d+/);
  });

  it('makes more when there is no room, spreads over them, and stops at the ceiling', async () => {
    await paas.ok(['scale', 'web=4', '-a', 'wide']);
    const rows = await paas.settled('wide', { web: 4 });
    expect(new Set(rows.map(({ host }) => host))).toEqual(new Set(['host-1', 'host-2']));
    const refused = await paas.cli(['scale', 'web=7', '-a', 'wide', '--json']);
    expect(refused.code).toBe(7);
    expect(refused.error.code).toBe('no_capacity');
    expect(await compute()).toHaveLength(3);
    const healthy = async (): Promise<number> =>
      (await paas.ps('wide')).filter(({ state }) => state === 'healthy').length;
    await paas.waitFor('as many as there is room for', async () => (await healthy()) === 6);
    await paas.ok(['scale', 'web=3', '-a', 'wide']);
    const spread = await paas.settled('wide', { web: 3 });
    expect(new Set(spread.map(({ host }) => host)).size).toBe(3);
  });

  it('drains a host without a failed request, and removes it at the cloud', async () => {
    await paas.ok(['scale', 'web=2', '-a', 'wide']);
    const [row] = await paas.settled('wide', { web: 2 });
    const load = paas.load('wide');
    const name = row?.host ?? '';
    const before = (await paas.cloudHosts()).length;
    await paas.ok(['hosts', 'drain', name]);
    await paas.waitFor(
      'the host to be drained',
      async () => (await hosts()).find((host) => host.name === name)?.state === 'drained',
    );
    const rows = await paas.settled('wide', { web: 2 });
    expect(rows.map(({ host }) => host)).not.toContain(name);
    const asked = await paas.cli(['hosts', 'remove', name]);
    expect(asked.code).toBe(2);
    await paas.ok(['hosts', 'remove', name, '--yes']);
    await paas.waitFor('the host to be gone', async () => !(await hosts()).some((host) => host.name === name));
    await paas.waitFor('it to be gone at the cloud', async () => (await paas.cloudHosts()).length === before - 1);
    expect((await load.stop()).failures).toEqual([]);
    expect((await paas.cli(['hosts', 'drain', 'host-99'])).code).toBe(5);
  });

  it('makes hosts ahead of need', async () => {
    const made = await paas.json<HostRow[]>(['hosts', 'create']);
    expect(made).toHaveLength(1);
    await paas.waitFor(
      'it to be ready',
      async () => (await hosts()).find(({ name }) => name === made[0]?.name)?.state === 'ready',
    );
  });
});

describe('clouds and clusters', () => {
  it('are listed and tested', async () => {
    expect(await paas.json(['clouds'])).toMatchObject([{ name: 'local', driver: 'speedycloud' }]);
    expect(await paas.json(['clouds', 'test', 'local'])).toMatchObject({ ok: true });
    expect(await paas.json(['clusters'])).toMatchObject([
      { name: 'main', cloud: 'local', engine: 'agents', maxHosts: 3 },
    ]);
    const text = (await paas.ok(['clouds', '--json'])).stdout;
    const { apiKey } = JSON.parse(readFileSync(join(paas.home, 'platform', 'cloud', 'credentials.json'), 'utf8'));
    expect(text).not.toContain(apiKey);
  });
});

describe('paas bases', () => {
  it('runs an app on a rootfs of its own', async (context) => {
    const works = process.getuid?.() === 0 && existsSync('/usr/bin/bwrap');
    requireOrSkip(context, works, 'bubblewrap, as root');
    const tar = rootfs(['/bin/sh', '/bin/cat', '/bin/ls', process.execPath]);
    const added = await paas.json(['bases', 'add', 'tiny', tar], { timeoutMs: 120_000 });
    expect(added).toMatchObject({ name: 'tiny' });
    expect((await paas.json<{ name: string }[]>(['bases'])).map(({ name }) => name)).toContain('tiny');
    const yaml = `name: inside\nbase: tiny\nprocesses: { web: { command: ${process.execPath} server.js, memory: 200M } }\n`;
    await paas.ok(['push'], { cwd: paas.source('probe', { 'paas.yml': yaml }), timeoutMs: 120_000 });
    expect((await paas.get('inside')).text).toBe('version 1');
    expect((await paas.get('inside', '/look?path=/etc/marked')).text).toBe('by the tiny base\n');
    expect((await paas.get('inside', '/look?path=/usr/bin/python3')).text).toBe('ENOENT');
    const missing = await paas.cli(['push', 'outside', '--json'], {
      cwd: paas.source('probe', { 'paas.yml': yaml.replace('tiny', 'huge') }),
    });
    expect(missing.code).toBe(5);
  });
});

/** A tar of a root directory with these programs and the libraries that they need. */
function rootfs(programs: readonly string[]): string {
  const root = paas.directory({ 'etc/marked': 'by the tiny base\n' });
  for (const program of programs) {
    const needs = execFileSync('ldd', [program], { encoding: 'utf8' }).match(/\/\S+/g) ?? [];
    for (const file of [program, ...needs]) {
      mkdirSync(dirname(join(root, file)), { recursive: true });
      copyFileSync(file, join(root, file));
    }
  }
  for (const directory of ['tmp', 'proc', 'dev', 'app', 'usr/bin', 'var/tmp', 'run'])
    mkdirSync(join(root, directory), { recursive: true });
  const tar = join(paas.directory(), 'rootfs.tar');
  execFileSync('tar', ['-cf', tar, '-C', root, '.']);
  return tar;
}
