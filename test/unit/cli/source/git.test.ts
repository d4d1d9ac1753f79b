import { execFileSync } from 'node:child_process';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openSource, type Source } from '../../../../src/cli/source/index.ts';
import { filesOf, walkSource } from '../../../../src/cli/source/walk.ts';
import { workTree } from '../../../../src/cli/source/work-tree.ts';

describe('git sources', () => {
  let directory: string;
  let work: string;
  let bare: string;
  let first: string;
  let second: string;
  const git = (cwd: string, ...args: string[]): string =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', '-c', 'protocol.file.allow=always', ...args], {
      cwd,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'paas-git-test-'));
    work = join(directory, 'work');
    bare = join(directory, 'shop.git');
    const library = join(directory, 'library');
    for (const path of [work, library, join(directory, 'tmp')]) mkdirSync(path);
    vi.stubEnv('TMPDIR', join(directory, 'tmp'));
    git(library, 'init', '-q', '-b', 'main');
    writeFileSync(join(library, 'lib.js'), 'lib');
    git(library, 'add', '.');
    git(library, 'commit', '-qm', 'lib');
    git(work, 'init', '-q', '-b', 'main');
    writeFileSync(join(work, '.gitignore'), 'forced\n');
    for (const name of ['app.js', 'forced', 'ü\nx']) writeFileSync(join(work, name), '1');
    symlinkSync('app.js', join(work, 'link'));
    git(work, 'add', '-f', '.');
    git(work, 'commit', '-qm', 'one');
    git(work, 'tag', '-a', 'v1.0', '-m', 'v1.0');
    first = git(work, 'rev-parse', 'HEAD');
    writeFileSync(join(work, 'app.js'), '22');
    git(work, 'submodule', 'add', '-q', library, 'vendor/library');
    git(work, 'add', '.');
    git(work, 'commit', '-qm', 'two');
    second = git(work, 'rev-parse', 'HEAD');
    git(work, 'branch', 'feature/x', first);
    git(directory, 'clone', '-q', '--bare', work, bare);
  });
  afterAll(() => {
    vi.unstubAllEnvs();
    rmSync(directory, { recursive: true });
  });

  const open = async (ref?: string, url = `file://${bare}`): Promise<{ source: Source; files: string[] }> => {
    const source = await openSource({ git: url, ...(ref === undefined ? {} : { ref }) });
    return { source, files: [...filesOf(await walkSource(source)).keys()].sort() };
  };
  const failure = async (options: Parameters<typeof openSource>[0]): Promise<{ code: string; message: string }> => {
    const error = await openSource(options).then(
      () => ({ code: 'opened', message: '' }),
      (thrown: unknown) => thrown as { code: string; message: string },
    );
    expect(readdirSync(join(directory, 'tmp'))).toEqual([]);
    return error;
  };
  const inFirst = ['.gitignore', 'app.js', 'forced', 'link', 'ü\nx'];

  it('are checked out at their HEAD with submodules, and with what was added in spite of .gitignore', async () => {
    const { source, files } = await open();
    expect(files).toEqual(['.gitignore', '.gitmodules', 'app.js', 'forced', 'link', 'vendor/library/lib.js', 'ü\nx']);
    expect(source.provenance).toEqual({ kind: 'git', url: `file://${bare}`, commit: second });
    await source.dispose();
    expect(existsSync(source.directory)).toBe(false);
  });

  it('are checked out at a branch, a tag, a commit and an abbreviated commit, also by a path', async () => {
    for (const ref of ['feature/x', 'v1.0', first, first.slice(0, 8)]) {
      for (const url of [`file://${bare}`, bare]) {
        const { source, files } = await open(ref, url);
        expect(files).toEqual(inFirst);
        expect(source.provenance).toMatchObject({ ref, commit: first });
        await source.dispose();
      }
    }
  });

  it('name the ref that is not there, and the repository', async () => {
    for (const ref of ['nowhere', 'deadbeef', 'f'.repeat(40)]) {
      const error = await failure({ git: `file://${bare}`, ref });
      expect(error).toMatchObject({ code: 'not_found', message: expect.stringContaining(ref) });
    }
    expect(await failure({ git: `file://${directory}/none.git` })).toMatchObject({ code: 'source_invalid' });
  });

  it('are refused when an address or ref is something else', async () => {
    const bad = [
      'ext::sh -c evil',
      '--upload-pack=evil',
      '-x',
      'fd::1',
      'ftp://host/x',
      'transport::address',
      'http://',
      '',
    ];
    for (const url of bad) expect(await failure({ git: url }), url).toMatchObject({ code: 'usage' });
    for (const ref of ['--output=x', '-x', 'a..b', 'a:b', '+a', 'a b', '', 'a\nb'])
      expect(await failure({ git: `file://${bare}`, ref }), ref).toMatchObject({ code: 'usage' });
    expect(await failure({ git: bare, svn: bare })).toMatchObject({ code: 'usage' });
    expect(await failure({ path: bare, ref: 'x' })).toMatchObject({ code: 'usage' });
  });

  it('send the credentials of the address, show them nowhere, and never ask for any', async () => {
    const seen: (string | undefined)[] = [];
    const server = createServer((request: IncomingMessage, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const error = await failure({ git: `http://me:s3cr%40t@127.0.0.1:${port}/x.git` });
    server.close();
    expect(error.code).toBe('source_invalid');
    expect(JSON.stringify(error) + error.message + String((error as { cause?: unknown }).cause)).not.toMatch(/s3cr/);
    expect(seen).toContain(`Basic ${Buffer.from('me:s3cr@t').toString('base64')}`);
  });

  it('stop when they are interrupted', async () => {
    const stop = new AbortController();
    stop.abort();
    expect(await failure({ git: `file://${bare}`, signal: stop.signal })).toMatchObject({ code: 'interrupted' });
  });

  it('say of a local work tree which branch and commit it has, without starting git', () => {
    expect(workTree(work)).toEqual({ ref: 'main', commit: second });
    expect(workTree(join(work, 'vendor'))).toEqual({ ref: 'main', commit: second });
    expect(workTree(join(work, 'vendor/library'))).toMatchObject({ ref: 'main' });
    const copy = join(directory, 'copy');
    git(directory, 'clone', '-q', bare, copy);
    git(copy, 'pack-refs', '--all');
    expect(workTree(copy)).toEqual({ ref: 'main', commit: second });
    git(copy, 'worktree', 'add', '-q', join(directory, 'other'), 'origin/feature/x');
    expect(workTree(join(directory, 'other'))).toEqual({ commit: first });
    writeFileSync(join(copy, '.git/HEAD'), 'nonsense');
    expect(workTree(copy)).toEqual({});
    expect(workTree('/')).toBeUndefined();
  });
});
