import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { openSource } from '../../../../src/cli/source/index.ts';
import { filesOf, walkSource } from '../../../../src/cli/source/walk.ts';
import { requireOrSkip } from '../../../support/skip.ts';

const installed = spawnSync('svnadmin', ['--version']).status === 0;

describe('svn sources', () => {
  let directory: string;
  let url: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'paas-svn-test-'));
    if (!installed) return;
    const run = (program: string, ...args: string[]): unknown =>
      execFileSync(program, args, { env: { ...process.env, LC_ALL: 'C.UTF-8' }, stdio: 'ignore' });
    const files = join(directory, 'files');
    mkdirSync(join(directory, 'tmp'));
    mkdirSync(join(files, 'sub@1'), { recursive: true });
    writeFileSync(join(files, 'app.js'), '1');
    writeFileSync(join(files, 'sub@1/grüße'), 'x');
    run('svnadmin', 'create', join(directory, 'repository'));
    url = `file://${directory}/repository`;
    run('svn', 'import', '-q', '-m', 'one', files, `${url}/trunk`);
    run('svn', 'rm', '-q', '-m', 'two', `${url}/trunk/app.js`);
    vi.stubEnv('TMPDIR', join(directory, 'tmp'));
  });
  afterAll(() => {
    vi.unstubAllEnvs();
    rmSync(directory, { recursive: true });
  });
  beforeEach((context) => requireOrSkip(context, installed, 'subversion is not installed'));

  const export_ = async (address: string, revision?: string): Promise<unknown> => {
    const source = await openSource({ svn: address, ...(revision === undefined ? {} : { revision }) });
    const files = [...filesOf(await walkSource(source)).keys()].sort();
    await source.dispose();
    expect(existsSync(source.directory)).toBe(false);
    expect(readdirSync(join(directory, 'tmp'))).toEqual([]);
    return [files, source.provenance];
  };
  const failure = async (address: string, revision?: string): Promise<unknown> => {
    const error: unknown = await export_(address, revision).catch((thrown: unknown) => thrown);
    expect(readdirSync(join(directory, 'tmp'))).toEqual([]);
    return error;
  };

  it('are exported at their newest revision, or another', async () => {
    const provenance = { kind: 'svn', url: `${url}/trunk` };
    expect(await export_(`${url}/trunk`)).toEqual([['sub@1/grüße'], { ...provenance, ref: 'HEAD', commit: '2' }]);
    expect(await export_(`${url}/trunk`, '1')).toEqual([
      ['app.js', 'sub@1/grüße'],
      { ...provenance, ref: '1', commit: '1' },
    ]);
    expect(await export_(`${url}/trunk/sub@1`)).toMatchObject([['grüße'], { commit: '2' }]);
  });

  it('name what is not there', async () => {
    for (const [address, revision] of [[`${url}/nowhere`], [`${url}/trunk`, '99'], [`${url}x`]] as [string, string?][])
      expect(await failure(address, revision)).toMatchObject({
        code: expect.stringMatching(/^(not_found|source_invalid)$/),
        message: expect.stringContaining(address),
      });
  });

  it('are refused when an address or revision is something else', async () => {
    for (const address of ['-x', 'ext::x', 'host:path', 'ftp://x/y', 'svn+evil://x/y'])
      expect(await failure(address)).toMatchObject({ code: 'usage' });
    for (const revision of ['-1', '1:2', 'HEAD --x', '', 'PREV'])
      expect(await failure(url, revision)).toMatchObject({ code: 'usage' });
  });

  it('keep the password out of errors', async () => {
    const error = (await failure('http://me:s3cret@127.0.0.1:1/x')) as Error;
    expect(error).toMatchObject({ code: 'source_invalid' });
    expect(JSON.stringify(error) + error.message + String(error.cause)).not.toContain('s3cret');
  });
});
