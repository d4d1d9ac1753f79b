import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { Header, type HeaderData } from 'tar';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openArchive } from '../../../../src/cli/source/archive.ts';
import type { ArchiveLimits } from '../../../../src/cli/source/archive-guard.ts';
import { openSource } from '../../../../src/cli/source/index.ts';
import { filesOf, walkSource } from '../../../../src/cli/source/walk.ts';
import { requireOrSkip } from '../../../support/skip.ts';
import { zipOf } from './zip.ts';

/** A tar of whatever entries, however evil. */
function tarOf(entries: (Partial<HeaderData> & { content?: string })[]): Buffer {
  const blocks: Buffer[] = [];
  for (const { content = '', ...data } of entries) {
    const header = new Header({
      mode: 0o644,
      type: 'File',
      size: Buffer.byteLength(content),
      mtime: new Date(0),
      ...data,
    });
    header.encode();
    const body = Buffer.alloc(Math.ceil(Buffer.byteLength(content) / 512) * 512);
    body.write(content);
    blocks.push(header.block!, body);
  }
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

describe('archives', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'paas-archive-test-'));
    mkdirSync(join(directory, 'tmp'));
    vi.stubEnv('TMPDIR', join(directory, 'tmp'));
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(directory, { recursive: true });
  });

  const archive = (name: string, bytes: Buffer): string => {
    writeFileSync(join(directory, name), bytes);
    return join(directory, name);
  };
  const files = async (path: string): Promise<Record<string, string>> => {
    const source = await openSource({ path });
    try {
      const found = filesOf(await walkSource(source));
      return Object.fromEntries(
        [...found].map(([name, { kind, mode }]) => [name, kind === 'link' ? 'link' : mode.toString(8)]),
      );
    } finally {
      await source.dispose();
      expect(existsSync(source.directory)).toBe(false);
    }
  };
  const refusal = async (
    bytes: Buffer,
    limits: Partial<ArchiveLimits> = {},
  ): Promise<{ code: string; message: string }> => {
    const error = await openArchive(archive('evil', bytes), limits).then(
      (source) => source.dispose().then(() => ({ code: 'accepted', message: '' })),
      (thrown: unknown) => thrown as { code: string; message: string },
    );
    expect(readdirSync(process.env['TMPDIR']!)).toEqual([]);
    return error;
  };

  const expected = { 'Grüße\nx': '644', 'bin/run': '755', link: 'link', 'sub/deep/f': '644' };
  const makeTree = (): string => {
    const tree = join(directory, 'tree');
    mkdirSync(join(tree, 'sub/deep'), { recursive: true });
    mkdirSync(join(tree, 'bin'));
    writeFileSync(join(tree, 'sub/deep/f'), 'f');
    writeFileSync(join(tree, 'Grüße\nx'), 'g');
    writeFileSync(join(tree, 'bin/run'), 'run');
    chmodSync(join(tree, 'bin/run'), 0o755);
    symlinkSync('bin/run', join(tree, 'link'));
    return tree;
  };

  it.each([
    ['app.tar', ['tar', 'cf']],
    ['app.tar.gz', ['tar', 'czf']],
    ['app.tgz', ['tar', '--format=posix', '-czf']],
    ['whatever.bin', ['tar', '--format=gnu', '-czf']],
  ])('are unpacked: %s', async (name, [program, ...args]) => {
    const tree = makeTree();
    expect(spawnSync(program!, [...args, join(directory, name), '-C', tree, '.']).status).toBe(0);
    expect(await files(join(directory, name))).toEqual(expected);
  });

  it('are unpacked: zip, with links and modes', async (context) => {
    requireOrSkip(context, spawnSync('zip', ['-v']).status === 0, 'zip is not installed');
    const tree = makeTree();
    expect(spawnSync('zip', ['-qry', join(directory, 'app.zip'), '.'], { cwd: tree }).status).toBe(0);
    expect(await files(join(directory, 'app.zip'))).toEqual(expected);
  });

  it('keep hard links within them as files, and lose setuid', async () => {
    const bytes = tarOf([
      { path: 'a', content: 'text', mode: 0o4711 },
      { path: 'b', type: 'Link', linkpath: 'a' },
    ]);
    expect(await files(archive('x.tar', bytes))).toEqual({ a: '755', b: '755' });
  });

  it('keep a single directory at the top where it is, with a notice', async () => {
    const source = await openArchive(archive('x.tar', tarOf([{ path: 'shop-1.2/app.js', content: 'x' }])));
    expect(source.notices).toEqual([expect.stringContaining('shop-1.2/')]);
    expect(readFileSync(join(source.directory, 'shop-1.2/app.js'), 'utf8')).toBe('x');
    expect(statSync(source.directory).mode & 0o777).toBe(0o700);
    await source.dispose();
    await source.dispose();
  });

  it('are pushed as they are when they are a jar', async () => {
    expect(await files(archive('app.jar', zipOf([{ name: 'META-INF/MANIFEST.MF', content: 'x' }])))).toEqual({
      'app.jar': '644',
    });
  });

  it('do not apply .gitignore: whoever made them chose what is in them', async () => {
    const bytes = tarOf([
      { path: '.gitignore', content: 'dist/\n' },
      { path: 'dist/app.js', content: 'x' },
    ]);
    expect(await files(archive('x.tar', bytes))).toEqual({ '.gitignore': '644', 'dist/app.js': '644' });
  });

  const dir = { type: 'Directory', mode: 0o755 } as const;
  it.each<[string, Parameters<typeof tarOf>[0], string]>([
    ['..', [{ path: '../evil' }], '..'],
    ['.. inside', [{ path: 'a/../../evil' }], '..'],
    ['an absolute path', [{ path: '/etc/evil' }], 'absolute'],
    ['an absolute link', [{ path: 'a', type: 'SymbolicLink', linkpath: '/etc' }], 'absolute'],
    ['a link out', [{ path: 'a/b', type: 'SymbolicLink', linkpath: '../../x' }], 'out'],
    ['a hard link out', [{ path: 'a', type: 'Link', linkpath: '/etc/passwd' }], 'absolute'],
    ['a hard link to nothing', [{ path: 'a', type: 'Link', linkpath: 'b' }], 'hard link'],
    ['a device', [{ path: 'a', type: 'CharacterDevice' }], 'CharacterDevice'],
    ['a pipe', [{ path: 'a', type: 'FIFO' }], 'FIFO'],
    ['one path twice', [{ path: 'a' }, { path: './a' }], 'twice'],
    ['a link and below it', [{ path: 'a', type: 'SymbolicLink', linkpath: 'b' }, { path: 'a/evil' }], 'no directory'],
    [
      'a link for a directory',
      [
        { path: 'a', ...dir },
        { path: 'a', type: 'SymbolicLink', linkpath: 'b' },
      ],
      'twice',
    ],
    ['a file below a file', [{ path: 'a' }, { path: 'a/b' }], 'no directory'],
  ])('are refused with %s', async (_what, entries, message) => {
    for (const bytes of [tarOf(entries), gzipSync(tarOf(entries))])
      expect(await refusal(bytes)).toMatchObject({ code: 'source_invalid', message: expect.stringContaining(message) });
    expect(existsSync('/etc/evil')).toBe(false);
  });

  it.each<[string, Parameters<typeof zipOf>[0], string]>([
    ['..', [{ name: '../evil' }], '../evil'],
    ['an absolute path', [{ name: '/etc/evil' }], 'absolute'],
    ['a link out', [{ name: 'a', content: '../..', mode: 0o120777 }], 'out'],
    ['a link and below it', [{ name: 'a', content: 'b', mode: 0o120777 }, { name: 'a/evil' }], 'no directory'],
    ['a device', [{ name: 'a', mode: 0o020666 }], 'device'],
    ['one path twice', [{ name: 'a' }, { name: 'a' }], 'twice'],
    ['a wrong size', [{ name: 'a', content: 'xxxx', claim: 3 }], 'bytes'],
  ])('are refused as zip with %s', async (_what, entries, message) => {
    expect(await refusal(zipOf(entries))).toMatchObject({
      code: 'source_invalid',
      message: expect.stringContaining(message),
    });
  });

  it('are bounded in size, number and ratio', async () => {
    const zeros = '\0'.repeat(3_000_000);
    const bombs = [gzipSync(tarOf([{ path: 'a', content: zeros }])), zipOf([{ name: 'a', content: zeros }])];
    for (const bomb of bombs) {
      expect(await refusal(bomb, { maxBytes: 2_000_000 })).toMatchObject({
        code: 'too_large',
        message: expect.stringContaining('2000000 bytes'),
      });
      expect(await refusal(bomb, { maxRatio: 50, ratioFromBytes: 1_000_000 })).toMatchObject({
        code: 'too_large',
        message: expect.stringContaining('50 times'),
      });
    }
    const many = [tarOf([{ path: 'a' }, { path: 'b' }, { path: 'c' }]), zipOf([{ name: 'a/b/c' }])];
    for (const bomb of many) expect(await refusal(bomb, { maxEntries: 2 })).toMatchObject({ code: 'too_large' });
    const twice = gzipSync(gzipSync(tarOf([{ path: 'a', content: zeros }])));
    expect(await refusal(twice)).toMatchObject({ message: expect.stringContaining('compressed twice') });
  });

  it('are refused when they are something else, empty, or damaged', async () => {
    for (const bytes of [
      Buffer.from('hello'),
      Buffer.alloc(0),
      Buffer.from('BZh9'),
      gzipSync('text'),
      tarOf([]).subarray(0, 100),
    ])
      expect(await refusal(bytes)).toMatchObject({ code: 'source_invalid', message: expect.stringContaining('evil') });
    const good = gzipSync(
      tarOf([
        { path: 'a', content: 'x'.repeat(5000) },
        { path: 'b', content: 'y' },
      ]),
    );
    expect(await refusal(good.subarray(0, -20))).toMatchObject({ code: 'source_invalid' });
    const tar = tarOf([{ path: 'a', content: 'x'.repeat(5000) }]);
    expect(await refusal(tar.subarray(0, 2000))).toMatchObject({ code: 'source_invalid' });
  });

  it('never crash or hang the unpacking, whatever bytes they hold', async () => {
    const samples = [
      tarOf([
        { path: 'a/b', content: 'x'.repeat(600) },
        { path: 'l', type: 'SymbolicLink', linkpath: 'a' },
      ]),
      gzipSync(tarOf([{ path: 'a', content: 'x' }])),
      zipOf([
        { name: 'a/b', content: 'x'.repeat(600) },
        { name: 'l', content: 'a', mode: 0o120777 },
      ]),
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...samples),
        fc.nat(),
        fc.uint8Array({ minLength: 1, maxLength: 8 }),
        async (good, at, noise) => {
          const bytes = Buffer.from(good);
          bytes.set(noise.subarray(0, bytes.length - (at % bytes.length)), at % bytes.length);
          expect((await refusal(bytes)).code).toMatch(/^(accepted|source_invalid|too_large)$/);
        },
      ),
      { numRuns: 150 },
    );
  }, 30_000);
});
