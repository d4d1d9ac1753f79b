import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSource } from '../../../../src/cli/source/index.ts';
import { filesOf, walkSource } from '../../../../src/cli/source/walk.ts';

describe('ignore rules', () => {
  let base: string;
  let home: string;
  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'paas-ignore-'));
    home = mkdtempSync(join(tmpdir(), 'paas-home-'));
  });
  afterEach(() => {
    for (const directory of [base, home]) rmSync(directory, { recursive: true });
  });

  const write = (...paths: (string | [string, string])[]): void => {
    for (const item of paths) {
      const [path, content] = typeof item === 'string' ? [item, 'x'] : item;
      mkdirSync(join(base, path, '..'), { recursive: true });
      writeFileSync(join(base, path), content);
    }
  };
  const kept = async (): Promise<string[]> => {
    const source = await openSource({ path: base });
    const cold = [...filesOf(await walkSource(source)).keys()].sort();
    // With a cache the answer must be the same, the second time too.
    for (let i = 0; i < 2; i++) expect([...filesOf(await walkSource(source, { home })).keys()].sort()).toEqual(cold);
    return cold;
  };

  it('always leave out version control, .DS_Store and manifests, whatever the rules say', async () => {
    write('app.js', '.git/config', 'lib/.git', '.hg/x', 'sub/.svn/entries', '.DS_Store', 'sub/.DS_Store');
    write('paas.yml', 'manifest.yml', 'Procfile', 'app.json', 'k8s/manifest.yml', '.gitattributes');
    write(['.paasignore', '!.git\n!paas.yml\n!.paasignore\n']);
    expect(await kept()).toEqual(['.gitattributes', 'Procfile', 'app.js', 'app.json', 'k8s/manifest.yml']);
  });

  it('come from the first of .paasignore, .cfignore and .slugignore, and then .gitignore does not count', async () => {
    write('a.log', 'b.tmp', 'c.bak', 'd.git', 'app.js');
    write(['.gitignore', '*.git\n']);
    expect(await kept()).toEqual(['.gitignore', 'a.log', 'app.js', 'b.tmp', 'c.bak']);
    write(['.slugignore', '*.bak\n']);
    expect(await kept()).toEqual(['.gitignore', 'a.log', 'app.js', 'b.tmp', 'd.git']);
    write(['.cfignore', '*.tmp\n']);
    expect(await kept()).toEqual(['.gitignore', 'a.log', 'app.js', 'c.bak', 'd.git']);
    write(['.paasignore', '\ufeff*.log\r\n']);
    expect(await kept()).toEqual(['.gitignore', 'app.js', 'b.tmp', 'c.bak', 'd.git']);
  });

  it('say the same as git, with nested files, negations, anchors and directories', async () => {
    write(['.gitignore', '*.log\n!keep.log\n/build\nout/\ndoc/*.txt\n**/tmp/**\nGrüße\n\\#x\n']);
    write(['lib/.gitignore', '!*.log\n/local\n'], ['lib/deep/.gitignore', '*.log\n'], ['venv/.gitignore', '*\n']);
    write('a.log', 'keep.log', 'build/x', 'lib/build/x', 'out/x', 'lib/out', 'doc/a.txt', 'doc/b/a.txt', 'a/tmp/b/c');
    write(
      'lib/a.log',
      'lib/local',
      'lib/deep/a.log',
      'lib/deep/local',
      'venv/x',
      'Grüße',
      'grüße',
      '#x',
      'Build/x',
      'KEEP.LOG',
    );
    const git = (...args: string[]): string =>
      spawnSync('git', ['-C', base, '-c', 'core.quotePath=off', ...args]).stdout.toString();
    git('init', '-q');
    const expected = git('ls-files', '--others', '--exclude-standard', '-z').split('\0').filter(Boolean).sort();
    expect(expected).toContain('lib/a.log');
    expect(await kept()).toEqual(expected);
  });

  it('notice a nested ignore file that changes, comes or goes, though a cache knows the directories', async () => {
    write('a/b/c.txt', 'a/b/d.log', 'e.txt');
    expect(await kept()).toEqual(['a/b/c.txt', 'a/b/d.log', 'e.txt']);
    write(['a/.gitignore', '*.log\n']);
    expect(await kept()).toEqual(['a/.gitignore', 'a/b/c.txt', 'e.txt']);
    write(['a/.gitignore', '*.txt\n']);
    expect(await kept()).toEqual(['a/.gitignore', 'a/b/d.log', 'e.txt']);
    write(['a/.gitignore', '*\n']);
    expect(await kept()).toEqual(['e.txt']);
    rmSync(join(base, 'a/.gitignore'));
    expect(await kept()).toEqual(['a/b/c.txt', 'a/b/d.log', 'e.txt']);
  });

  it('let pipes and sockets be, where they ignore them', async () => {
    write('app.js', ['.paasignore', 'run/\n']);
    mkdirSync(join(base, 'run'));
    expect(spawnSync('mkfifo', [join(base, 'run/pipe')]).status).toBe(0);
    expect(await kept()).toEqual(['app.js']);
  });

  it('say so when nothing is left', async () => {
    write(['.paasignore', '*\n'], 'app.js');
    await expect(kept()).rejects.toMatchObject({
      code: 'source_invalid',
      message: expect.stringContaining('nothing to push'),
    });
  });
});
