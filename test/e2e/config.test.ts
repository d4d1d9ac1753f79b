/** Config, its secrecy, releases and going back. */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPlatform, type Platform } from '../support/platform.ts';

let paas: Platform;
beforeAll(async () => {
  paas = await startPlatform();
});
afterAll(() => paas.remove());

const value = async (app: string, name: string): Promise<string> => (await paas.get(app, `/env?name=${name}`)).text;

describe('paas config', () => {
  it('sets, gets and unsets, each a release that is rolled out', async () => {
    await paas.ok(['push', 'plain'], { cwd: paas.source('probe') });
    const set = await paas.json(['config', 'set', 'LEVEL=debug', 'SPACED=a b  c', '-a', 'plain']);
    expect(set).toMatchObject({ release: 2, changed: true, keys: ['LEVEL', 'SPACED'] });
    expect(await value('plain', 'LEVEL')).toBe('debug');
    expect(await value('plain', 'SPACED')).toBe('a b  c');
    expect((await paas.ok(['config', 'get', 'LEVEL', '-a', 'plain'])).stdout).toBe('debug\n');
    expect(await paas.json(['config', '-a', 'plain'])).toEqual({ LEVEL: 'debug', SPACED: 'a b  c' });
    expect(await paas.json(['config', 'set', 'LEVEL=debug', '-a', 'plain'])).toMatchObject({ changed: false });
    await paas.ok(['config', 'unset', 'LEVEL', '-a', 'plain']);
    expect(await value('plain', 'LEVEL')).toBe('UNSET');
    const missing = await paas.cli(['config', 'get', 'LEVEL', '-a', 'plain', '--json']);
    expect([missing.code, missing.error.code]).toEqual([5, 'not_found']);
  });

  it('reads a file and standard input, many lines too', async () => {
    await paas.ok(['push', 'piped'], { cwd: paas.source('probe') });
    const key = '-----BEGIN KEY-----\nabc=\n-----END KEY-----';
    const cwd = paas.directory({ 'key.pem': `${key}\n` });
    await paas.ok(['config', 'set', 'TLS=@key.pem', 'TOKEN=-', '-a', 'piped'], { cwd, input: 'from a pipe\n' });
    expect(await value('piped', 'TLS')).toBe(key);
    expect(await value('piped', 'TOKEN')).toBe('from a pipe');
    expect((await paas.cli(['config', 'set', 'X=@nowhere', '-a', 'piped'])).code).toBe(5);
    expect((await paas.cli(['config', 'set', '1X=2', '-a', 'piped'])).code).toBe(2);
    expect((await paas.cli(['config', 'set', 'novalue', '-a', 'piped'])).code).toBe(2);
  });

  it('waits for the next release with --no-restart', async () => {
    await paas.ok(['push', 'deferred'], { cwd: paas.source('probe') });
    const before = await paas.ps('deferred');
    await paas.ok(['config', 'set', 'A=1', '--no-restart', '-a', 'deferred']);
    expect(await value('deferred', 'A')).toBe('UNSET');
    expect((await paas.ps('deferred')).map(({ id }) => id)).toEqual(before.map(({ id }) => id));
    await paas.ok(['config', 'set', 'B=2', '-a', 'deferred']);
    expect([await value('deferred', 'A'), await value('deferred', 'B')]).toEqual(['1', '2']);
  });

  it('never shows a secret: not in output, logs, events, command lines or files of the platform', async () => {
    const secret = 'hunter2-9f8e7d6c5b4a';
    await paas.ok(['push', 'vault'], { cwd: paas.source('probe') });
    const set = await paas.ok(['config', 'set', 'DB_PASSWORD=-', '-a', 'vault'], { input: secret });
    expect(await value('vault', 'DB_PASSWORD')).toBe(secret);
    const shown = [
      set,
      await paas.ok(['config', '-a', 'vault']),
      await paas.ok(['config', '-a', 'vault', '--json']),
      await paas.ok(['events', '-a', 'vault', '--json']),
      await paas.ok(['events', '--json', '-n', '1000']),
      await paas.ok(['logs', '-a', 'vault', '--json']),
      await paas.ok(['ps', '-a', 'vault', '--json']),
      await paas.ok(['releases', '-a', 'vault', '--json']),
      await paas.ok(['app', 'vault', '--json']),
    ].map(({ stdout, stderr }) => stdout + stderr);
    for (const text of shown) expect(text).not.toContain(secret);
    expect(shown[1]).toContain('DB_PASSWORD=********');
    const commands = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
        } catch {
          return '';
        }
      });
    expect(commands.filter((command) => command.includes(secret))).toEqual([]);
    // At rest it is encrypted; only the agent's private record of what it runs has it in clear.
    const contents = await paas.waitFor('all files to be read before one of them goes', () =>
      readdirSync(join(paas.home, 'platform'), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((file) => join(file.parentPath, file.name))
        .map((path) => [path, readFileSync(path)] as const),
    );
    for (const [path, content] of contents) expect(content.includes(secret), path).toBe(false);
    for (const log of ['server.log', 'cloud.log'])
      expect(readFileSync(join(paas.home, 'logs', log), 'utf8')).not.toContain(secret);
  });
});

describe('releases and rollback', () => {
  it('goes back to image and config of a release, and keeps the formation', async () => {
    const cwd = paas.source('probe');
    await paas.ok(['push', 'history', '--config', 'COLOUR=red', '--message', 'the first'], { cwd });
    writeFileSync(join(cwd, 'VERSION'), '2');
    await paas.ok(['push', 'history'], { cwd });
    await paas.ok(['config', 'set', 'COLOUR=blue', '-a', 'history']);
    await paas.ok(['scale', 'web=2', '-a', 'history']);
    const load = paas.load('history');
    const back = await paas.json(['rollback', 'v1', '-a', 'history']);
    expect(back).toMatchObject({ release: 4, changed: true });
    await paas.settled('history', { web: 2 });
    expect((await load.stop()).failures).toEqual([]);
    expect((await paas.get('history')).text).toBe('version 1');
    expect(await value('history', 'COLOUR')).toBe('red');
    const releases = await paas.json<
      { version: number; current: boolean; description: string; by: string; image: string }[]
    >(['releases', '-a', 'history']);
    expect(releases.map(({ version, current }) => [version, current])).toEqual([
      [4, true],
      [3, false],
      [2, false],
      [1, false],
    ]);
    expect(releases[0]).toMatchObject({
      description: 'rollback to v1',
      by: 'key:local-admin',
      image: releases[3]?.image,
    });
    expect(releases[3]).toMatchObject({ description: 'the first' });
    // Without a version: the one that was live before.
    await paas.ok(['rollback', '-a', 'history']);
    expect((await paas.get('history')).text).toBe('version 2');
    expect(await value('history', 'COLOUR')).toBe('blue');
    expect((await paas.cli(['rollback', 'v99', '-a', 'history'])).code).toBe(5);
    expect((await paas.cli(['rollback', 'latest', '-a', 'history'])).code).toBe(2);
  });

  it('shows what a push would do, and does nothing of it', async () => {
    const cwd = paas.source('probe', {
      'paas.yml': 'name: planned\nprocesses: { web: { command: node server.js } }\n',
      'new.txt': 'seen nowhere before',
    });
    const first = await paas.json<{ changed: boolean; plan: { action: string }[]; upload: { files: number } }>(
      ['push', '--dry-run'],
      { cwd },
    );
    expect(first).toMatchObject({ app: 'planned', changed: true, upload: { files: 1 } });
    expect(first.plan.map(({ action }) => action)).toContain('create app');
    expect(await paas.app('planned')).toBeUndefined();
    await paas.ok(['push'], { cwd });
    expect(await paas.json(['push', '--dry-run'], { cwd })).toEqual({
      app: 'planned',
      changed: false,
      plan: [],
      upload: { files: 0, bytes: 0 },
    });
    writeFileSync(
      join(cwd, 'paas.yml'),
      'name: planned\nprocesses: { web: { command: node server.js, memory: 100M } }\nroutes: [planned.example.com]\nconfig: { A: b }\n',
    );
    const { plan } = await paas.json<{ plan: unknown[] }>(['push', '--dry-run'], { cwd });
    expect(plan).toEqual(
      expect.arrayContaining([
        { action: 'memory', target: 'web', from: '512M', to: '100M' },
        { action: 'add route', target: 'planned.example.com', from: null, to: 'planned.example.com' },
        expect.objectContaining({ action: 'set config', target: 'A' }),
        { action: 'release', target: 'planned', from: 'v1', to: 'v2' },
      ]),
    );
    expect(await paas.json(['config', '-a', 'planned'])).toEqual({});
    expect(await paas.json(['releases', '-a', 'planned'])).toHaveLength(1);
  });
});
