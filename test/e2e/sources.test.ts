/** Where the source of a push may come from. */
import { execFileSync } from 'node:child_process';
import { cpSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPlatform, type Platform } from '../support/platform.ts';
import { requireOrSkip } from '../support/skip.ts';

let paas: Platform;
beforeAll(async () => {
  paas = await startPlatform();
});
afterAll(() => paas.remove());

const has = (program: string): boolean => {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};
const identity = { GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@b', GIT_COMMITTER_NAME: 'a', GIT_COMMITTER_EMAIL: 'a@b' };

describe('sources', () => {
  it('a git URL, with a tag and a branch', async (context) => {
    requireOrSkip(context, has('git'), 'git');
    const work = paas.source('probe');
    const bare = join(paas.directory(), 'counter.git');
    const git = (...args: string[]): string =>
      execFileSync('git', args, { cwd: work, encoding: 'utf8', stdio: 'pipe', env: { ...process.env, ...identity } });
    git('init', '-q', '-b', 'main');
    git('add', '.');
    git('commit', '-qm', 'one');
    git('tag', 'v1.0');
    writeFileSync(join(work, 'VERSION'), '2');
    git('commit', '-qam', 'two');
    git('clone', '-q', '--bare', work, bare);
    const commit = git('rev-parse', 'v1.0').trim();

    // The app is named after the repository.
    const tagged = await paas.json(['push', '--git', `file://${bare}`, '--ref', 'v1.0']);
    expect(tagged).toMatchObject({ app: 'counter', release: 1 });
    expect((await paas.get('counter')).text).toBe('version 1');
    const releases = await paas.json<{ description: string }[]>(['releases', '-a', 'counter']);
    expect(releases[0]?.description).toContain(commit.slice(0, 10));

    await paas.ok(['push', '--git', `file://${bare}`, '--ref', 'main']);
    expect((await paas.get('counter')).text).toBe('version 2');
    const missing = await paas.cli(['push', '--git', `file://${bare}`, '--ref', 'nope', '--json']);
    expect(missing.code).toBe(5);
    expect(missing.error.message).toContain('nope');
  });

  it('a Subversion URL', async (context) => {
    requireOrSkip(context, has('svnadmin') && has('svn'), 'subversion');
    const repository = join(paas.directory(), 'repo');
    execFileSync('svnadmin', ['create', repository]);
    const url = `file://${repository}/trunk`;
    execFileSync('svn', ['import', '-q', '-m', 'one', paas.source('probe'), url]);
    await paas.ok(['push', 'subversive', '--svn', url]);
    expect((await paas.get('subversive')).text).toBe('version 1');
  });

  it('a tar.gz and a zip archive', async (context) => {
    const parent = paas.directory();
    const inner = join(parent, 'inner');
    cpSync(paas.source('probe'), inner, { recursive: true });
    const tar = join(parent, 'packed.tar.gz');
    execFileSync('tar', ['-czf', tar, '-C', inner, '.']);
    await paas.ok(['push', 'tarred', '--path', tar]);
    expect((await paas.get('tarred')).text).toBe('version 1');

    const nested = join(parent, 'nested.tar.gz');
    execFileSync('tar', ['-czf', nested, '-C', parent, 'inner']);
    const refused = await paas.cli(['push', 'nested', '--path', nested]);
    expect(refused.code).toBe(3);
    expect(refused.stderr).toContain('inner/');

    requireOrSkip(context, has('python3'), 'python3, to make a zip archive');
    const zip = join(parent, 'packed.zip');
    const files = ['Procfile', 'server.js', 'VERSION'];
    execFileSync('python3', ['-m', 'zipfile', '-c', zip, ...files], { cwd: inner });
    // The very same files: nothing to send, whatever they came in.
    expect(await paas.json(['push', 'tarred', '--path', zip])).toMatchObject({ upload: { files: 0 } });
    await paas.ok(['push', 'zipped', '--path', zip]);
    expect((await paas.get('zipped')).text).toBe('version 1');
  });

  it('leaves ignored files out, keeps modes, links and odd names', async () => {
    const odd = 'a\nb ü.txt';
    const cwd = paas.source('probe', {
      'secret.env': 'TOKEN=1',
      '.paasignore': '*.env\n',
      'node_modules/x/y.txt': 'kept: nothing ignores it',
      [`data/${odd}`]: 'odd',
      'bin/run.sh': '#!/bin/sh\necho ran\n',
    });
    symlinkSync('VERSION', join(cwd, 'link'));
    await paas.ok(['push', 'odd'], { cwd });
    const look = async (path: string): Promise<string> =>
      (await paas.get('odd', `/look?path=${encodeURIComponent(path)}`)).text;
    expect(await look('secret.env')).toBe('ENOENT');
    expect(await look('link')).toBe('1\n');
    expect(await look(`data/${odd}`)).toBe('odd');
    rmSync(join(cwd, 'link'));
    symlinkSync('/etc/passwd', join(cwd, 'link'));
    const refused = await paas.cli(['push', 'odd', '--json'], { cwd });
    expect(refused.code).toBe(3);
    expect(refused.error).toMatchObject({ code: 'source_invalid' });
    expect(refused.error.message).toContain('link');
  });

  it('refuses an archive that reaches outside, and a path that is not there', async (context) => {
    requireOrSkip(context, has('python3'), 'python3, to make a bad archive');
    const bad = join(paas.directory(), 'bad.tar.gz');
    const code = `import tarfile,io;t=tarfile.open(${JSON.stringify(bad)},"w:gz");i=tarfile.TarInfo("../evil");t.addfile(i,io.BytesIO());t.close()`;
    execFileSync('python3', ['-c', code]);
    const refused = await paas.cli(['push', 'evil', '--path', bad, '--json']);
    expect(refused.code).toBe(3);
    expect(refused.error.message).toContain('../evil');
    const missing = await paas.cli(['push', 'evil', '--path', '/nowhere/at/all', '--json']);
    expect(missing.code).toBe(5);
    expect(await paas.app('evil')).toBeUndefined();
  });
});
