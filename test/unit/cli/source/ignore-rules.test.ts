import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sourceRules } from '../../../../src/cli/source/ignore-rules.ts';
import { openSource } from '../../../../src/cli/source/index.ts';
import { filesOf, walkSource } from '../../../../src/cli/source/walk.ts';
import { nameProblem } from '../../../../src/shared/tree/directory.ts';

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

describe('any ignore file', () => {
  const pieces = fc.constantFrom(
    ...[
      '*',
      '**',
      '/',
      '!',
      '\\',
      '[',
      ']',
      '[a-',
      '[z-a]',
      '[^',
      '?',
      '#',
      ' ',
      '\t',
      '\n',
      '\r\n',
      '\0',
      'a',
      'b.js',
      '.',
      '..',
    ],
    ...['node_modules', '(', ')', '{', '}', '+', '$', '^', '|', 'é', '\ud800', '\ufeff'],
  );
  const text = fc.oneof(
    fc.array(pieces, { maxLength: 25 }).map((parts) => parts.join('')),
    fc.string({ unit: 'binary', maxLength: 60 }),
  );
  const name = fc
    .oneof(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }),
      fc.constantFrom('a', 'b.js', '...', '!x', '#', '\\'),
    )
    .filter((segment) => nameProblem(segment) === undefined);
  const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((segments) => segments.join('/'));

  it('decides on every path, or is refused with the file that is wrong', () => {
    const base = mkdtempSync(join(tmpdir(), 'paas-ignore-'));
    try {
      fc.assert(
        fc.property(text, text, path, fc.boolean(), (outer, inner, at, isDirectory) => {
          writeFileSync(join(base, '.paasignore'), outer);
          try {
            const rules = sourceRules(base, { git: true });
            expect(typeof rules.extend('', inner).keeps(at, isDirectory)).toBe('boolean');
          } catch (error) {
            expect(error).toMatchObject({ code: 'source_invalid' });
          }
        }),
        { numRuns: 800 },
      );
    } finally {
      rmSync(base, { recursive: true });
    }
  });

  it.each(['*a'.repeat(40), '**/'.repeat(60) + 'x', '[a-z]*'.repeat(40), '?*'.repeat(50)])(
    'does not take for ever: %j',
    (pattern) => {
      const base = mkdtempSync(join(tmpdir(), 'paas-ignore-'));
      try {
        writeFileSync(join(base, '.paasignore'), pattern);
        const rules = sourceRules(base, { git: true });
        expect(rules.keeps(`${'a'.repeat(250)}/${'a/'.repeat(200)}b`, false)).toEqual(expect.any(Boolean));
      } finally {
        rmSync(base, { recursive: true });
      }
    },
  );
});
