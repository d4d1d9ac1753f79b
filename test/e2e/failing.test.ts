/** Pushes that fail: what the user is told, and what goes on meanwhile. Apps that never become ready: test/faults. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPlatform, type CliResult, type Platform } from '../support/platform.ts';

let paas: Platform;
beforeAll(async () => {
  paas = await startPlatform();
});
afterAll(() => paas.remove());

const manifest = (name: string, command: string, more = ''): string => `name: ${name}
processes:
  web: { command: ${JSON.stringify(command)}, health: { type: port } }
${more}`;

async function pushFailing(name: string, command: string, more = ''): Promise<CliResult> {
  const cwd = paas.directory({ 'paas.yml': manifest(name, command, more), 'file.txt': 'x' });
  const result = await paas.cli(['push', '--json'], { cwd });
  expect(result.code, result.toString()).toBe(8);
  return result;
}

describe('a first push that cannot work', () => {
  it('shows the exit status and the last words of one that crashes', async () => {
    const cwd = paas.directory({ 'paas.yml': manifest('crasher', 'echo goodbye; exit 7'), 'file.txt': 'x' });
    const result = await paas.cli(['push'], { cwd });
    expect(result.code).toBe(8);
    expect(result.stderr).toMatch(/exited with code 7/);
    expect(result.stderr).toContain('| goodbye');
    expect(result.stderr).toContain('paas logs');
    expect((await paas.get('crasher')).status).toBe(503);
  });

  it('shows that one was killed for its memory', async () => {
    const hoard = `node -e 'const a=[];setInterval(()=>a.push(Buffer.alloc(1<<25,1)),1)'`;
    const cwd = paas.directory({ 'paas.yml': manifest('hoarder', hoard), 'file.txt': 'x' });
    const result = await paas.cli(['push', '-m', '64M', '--json'], { cwd });
    expect(result.code, result.toString()).toBe(8);
    expect(result.error.message).toMatch(/memory limit/);
  });

  it('shows the output of a build that fails', async () => {
    const { error, stderr } = await pushFailing(
      'unbuilt',
      'sleep 60',
      'build: echo compiling; echo broken >&2; exit 4',
    );
    expect(error.code).toBe('build_failed');
    expect(stderr).toContain('compiling');
    expect(JSON.stringify(error.details['lastLines'])).toContain('broken');
    const lines = (await paas.logs('unbuilt', '--source', 'build')).map(({ line }) => line);
    expect(lines).toEqual(expect.arrayContaining(['compiling', 'broken']));
  });

  it('can be mended by the next push', async () => {
    await paas.ok(['push', 'crasher'], { cwd: paas.source('probe') });
    expect((await paas.get('crasher')).text).toBe('version 1');
  });
});

describe('a new release that does not become healthy', () => {
  it('is taken back by itself; the old one never stops answering', async () => {
    const cwd = paas.source('probe', { 'paas.yml': manifest('steady', 'node server.js') });
    await paas.ok(['push', '-i', '2'], { cwd });
    const load = paas.load('steady');
    const rows = await paas.ps('steady');
    writeFileSync(join(cwd, 'server.js'), 'console.log("new and broken"); process.exit(1)');
    const failed = await paas.cli(['push', '--json'], { cwd });
    expect(failed.code).toBe(8);
    expect(JSON.stringify(failed.error.details['lastLines'])).toContain('new and broken');
    await paas.settled('steady', { web: 2 });
    const { failures, answers } = await load.stop();
    expect(failures).toEqual([]);
    expect([...answers.keys()]).toEqual(['version 1']);
    expect((await paas.ps('steady')).map(({ id }) => id).sort()).toEqual(rows.map(({ id }) => id).sort());
    const releases = await paas.json<{ version: number; current: boolean; state: string }[]>([
      'releases',
      '-a',
      'steady',
    ]);
    expect(releases.map(({ version, current, state }) => [version, current, state])).toEqual([
      [2, false, 'failed'],
      [1, true, 'live'],
    ]);
    // What the failed one said stays.
    expect((await paas.logs('steady', '--grep', 'new and broken')).length).toBeGreaterThan(0);
  });

  it('leaves config and formation as they were', async () => {
    const cwd = paas.source('probe', {
      'paas.yml': 'name: kept\nprocesses: { web: { instances: 1, health: { type: port } } }\nconfig: { A: one }\n',
    });
    await paas.ok(['push'], { cwd });
    writeFileSync(
      join(cwd, 'paas.yml'),
      'name: kept\nprocesses: { web: { instances: 3, command: sleep 60, health: { type: port, timeout: 2s } } }\nconfig: { A: two }\nroutes: [other.localhost]\n',
    );
    expect((await paas.cli(['push'], { cwd })).code).toBe(8);
    expect((await paas.ok(['config', 'get', 'A', '-a', 'kept'])).stdout).toBe('one\n');
    expect(await paas.json(['scale', '-a', 'kept'])).toMatchObject({ web: { instances: 1 } });
    expect((await paas.json<{ route: string }[]>(['routes', '-a', 'kept'])).map(({ route }) => route)).toEqual([
      'kept.localhost',
    ]);
    await paas.settled('kept', { web: 1 });
    expect((await paas.get('kept', '/env?name=A')).text).toBe('one');
  });
});

describe('a release command', () => {
  it('runs once before the rollout; its failure stops everything', async () => {
    const yaml = (release: string): string =>
      `name: migrated\nrelease: ${release}\nprocesses: { web: { command: node server.js } }\n`;
    const cwd = paas.source('probe', { 'paas.yml': yaml('echo migrating $PAAS_RELEASE') });
    await paas.ok(['push', '-i', '2'], { cwd });
    const said = await paas.waitFor('its output', async () => {
      const lines = await paas.logs('migrated', '--grep', '^migrating');
      return lines.length > 0 && lines;
    });
    expect(said.map(({ line }) => line)).toEqual(['migrating v1']);
    writeFileSync(join(cwd, 'paas.yml'), yaml('echo cannot; exit 5'));
    writeFileSync(join(cwd, 'VERSION'), '2');
    const failed = await paas.cli(['push', '--json'], { cwd });
    expect(failed.code).toBe(8);
    expect(failed.error).toMatchObject({ code: 'release_failed' });
    expect(JSON.stringify(failed.error.details['lastLines'])).toContain('cannot');
    expect((await paas.get('migrated')).text).toBe('version 1');
    await paas.settled('migrated', { web: 2 });
  });
});

describe('an app that crashes later', () => {
  it('is started again, and its restarts are shown', async () => {
    await paas.ok(['push', 'stumbler'], { cwd: paas.source('probe') });
    expect((await paas.get('stumbler', '/crash')).text).toBe('crashing');
    const row = await paas.waitFor('a restart', async () =>
      (await paas.ps('stumbler')).find(({ restarts }) => restarts === 1),
    );
    expect(row.exit).toMatchObject({ code: 3, reason: 'exited' });
    await paas.serves('stumbler', 'version 1');
  });

  it('is shown as killed for its memory, and comes back', async () => {
    await paas.ok(['push', 'glutton', '-m', '100M'], { cwd: paas.source('probe') });
    await paas.get('glutton', '/hoard').catch(() => undefined);
    const row = await paas.waitFor('the end for its memory', async () =>
      (await paas.ps('glutton')).find(({ exit }) => exit !== null),
    );
    expect(row.exit?.reason).toBe('oom');
    await paas.serves('glutton', 'version 1');
    const said = await paas.ok(['ps', '-a', 'glutton']);
    expect(said.stdout).toMatch(/memory/i);
  });
});
