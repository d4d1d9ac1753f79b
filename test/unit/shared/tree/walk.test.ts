import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  appendFileSync,
  statSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { decodeDirectory } from '../../../../src/shared/tree/directory.ts';
import { hashFile } from '../../../../src/shared/tree/hash-file.ts';
import { sha256 } from '../../../../src/shared/tree/hash.ts';
import type { DirectoryRecord } from '../../../../src/shared/tree/walk-cache.ts';
import { walkTree, type WalkedTree } from '../../../../src/shared/tree/walk.ts';

const cacheOf = (tree: WalkedTree): Map<string, DirectoryRecord> =>
  new Map(tree.directories.map((record) => [record.path, record]));
const paths = (tree: WalkedTree): string[] =>
  tree.directories
    .flatMap(({ path, object }) =>
      decodeDirectory(object).flatMap(({ name, kind }) =>
        kind === 'dir' ? [] : [path === '' ? name : `${path}/${name}`],
      ),
    )
    .sort();

describe('walkTree', () => {
  let base: string;
  beforeEach(() => void (base = mkdtempSync(join(tmpdir(), 'paas-walk-'))));
  afterEach(() => {
    vi.useRealTimers();
    rmSync(base, { recursive: true, force: true });
  });

  const write = (path: string, content: string, mode = 0o644): void => {
    mkdirSync(join(base, path, '..'), { recursive: true });
    writeFileSync(join(base, path), content);
    chmodSync(join(base, path), mode);
  };
  /** Makes everything old enough for its times to be trusted. */
  const age = (): void => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 });
  };

  it('finds files, links, modes and empty directories, and gives equal sources equal digests', async () => {
    write('bin/run', '#!/bin/sh\n', 0o750);
    write('a\nb', 'newline');
    write('grüße/日本', 'names', 0o604);
    mkdirSync(join(base, 'empty'));
    symlinkSync('bin/run', join(base, 'start'));
    const tree = await walkTree(base);
    expect(paths(tree)).toEqual(['a\nb', 'bin/run', 'grüße/日本', 'start']);
    expect(tree).toMatchObject({ files: 4, bytes: 22, learned: true });
    const root = decodeDirectory(tree.directories.at(-1)!.object);
    expect(root.map(({ name, kind, mode }) => [name, kind, mode])).toEqual([
      ['a\nb', 'file', 0o644],
      ['bin', 'dir', 0o755],
      ['empty', 'dir', 0o755],
      ['grüße', 'dir', 0o755],
      ['start', 'link', 0o755],
    ]);
    expect(root.find(({ name }) => name === 'start')?.digest).toBe(sha256(Buffer.from('bin/run')));
    const moved = `${base}-moved`;
    renameSync(base, moved);
    utimesSync(join(moved, 'bin/run'), 1, 1);
    expect((await walkTree(moved)).root).toBe(tree.root);
    renameSync(moved, base);
  });

  it('reads nothing again that its cache knows, and notices every change', async () => {
    for (let i = 0; i < 5; i++) write(`d${i % 2}/f${i}`, `content ${i}`);
    symlinkSync('f0', join(base, 'd0/link'));
    age();
    const first = await walkTree(base);
    const again = await walkTree(base, { cache: cacheOf(first) });
    expect(again).toMatchObject({ root: first.root, hashedBytes: 0, learned: false, files: 6 });

    // Sizes differ throughout, since all of this may happen within one tick of the file system's clock.
    const changes: [string, () => void][] = [
      ['content', () => write('d0/f0', 'other content')],
      ['mode', () => chmodSync(join(base, 'd0/f0'), 0o755)],
      ['new file', () => write('d1/new', 'new')],
      ['removed', () => rmSync(join(base, 'd1/f1'))],
      [
        'link',
        () => {
          rmSync(join(base, 'd0/link'));
          symlinkSync('elsewhere', join(base, 'd0/link'));
        },
      ],
      [
        'file for directory',
        () => {
          rmSync(join(base, 'd0'), { recursive: true });
          write('d0', 'file');
        },
      ],
      [
        'directory for file',
        () => {
          rmSync(join(base, 'd0'));
          mkdirSync(join(base, 'd0'));
        },
      ],
    ];
    let cache = cacheOf(first);
    for (const [what, change] of changes) {
      change();
      const changed = await walkTree(base, { cache });
      const full = await walkTree(base);
      expect(changed.root, what).toBe(full.root);
      expect(changed.root, what).not.toBe(first.root);
      expect(changed.learned, what).toBe(true);
      cache = cacheOf(changed);
      const settled = await walkTree(base, { cache });
      expect(settled.root, what).toBe(full.root);
    }
  });

  it('does not trust times that a change within the same tick would leave as they are', async () => {
    const file = join(base, 'file');
    write('file', 'old');
    // As it can be set again.
    const { mtime } = statSync(file);
    utimesSync(file, mtime, mtime);
    const { ctimeMs, mtimeMs } = statSync(file);
    // However slow the machine is, the first walk comes this soon after the change.
    vi.useFakeTimers({ toFake: ['Date'], now: ctimeMs });
    const cache = cacheOf(await walkTree(base));
    write('file', 'new');
    utimesSync(file, mtime, mtime);
    // Even with all times alike.
    const stat = statSync(file);
    expect(stat.mtimeMs).toBe(mtimeMs);
    cache.get('')!.stats[2] = stat.ctimeMs;
    expect((await walkTree(base, { cache })).root).toBe((await walkTree(base)).root);
  });

  it('names everything that cannot be packaged, at once', async () => {
    write('ok', 'ok');
    symlinkSync('/etc/passwd', join(base, 'out'));
    symlinkSync('../..', join(base, 'up'));
    expect(spawnSync('mkfifo', [join(base, 'pipe')]).status).toBe(0);
    writeFileSync(Buffer.concat([Buffer.from(`${base}/latin-`), Buffer.from([0xe9])]), '');
    const server = createServer().listen(join(base, 'socket'));
    const error = (await walkTree(base).catch((thrown: unknown) => thrown)) as Error;
    server.close();
    expect(error).toMatchObject({ code: 'source_invalid' });
    for (const part of ['"out"', '/etc/passwd', '"up"', '"pipe"', '"socket"', 'latin-\\\\xe9', 'not valid UTF-8'])
      expect(error.message).toContain(part);
    expect(error.message).not.toContain('"ok"');
    // A build may link into the base image.
    for (const name of ['pipe', 'socket']) rmSync(join(base, name), { force: true });
    rmSync(Buffer.concat([Buffer.from(`${base}/latin-`), Buffer.from([0xe9])]));
    expect(paths(await walkTree(base, { links: 'any' }))).toEqual(['ok', 'out', 'up']);
  });

  it('reads again what changes while it is being read, and names what never stops changing', async () => {
    write('quiet', 'quiet');
    writeFileSync(join(base, 'log'), Buffer.alloc(9_000_000));
    let writes = 0;
    // The walk stops for breath within a large file: there somebody writes to it.
    const appending = (limit: number) => (): void => {
      if (writes++ < limit) appendFileSync(join(base, 'log'), 'line\n');
    };
    const tree = await walkTree(base, { onProgress: appending(2) });
    expect(tree.root).toBe((await walkTree(base)).root);
    expect(writes).toBeGreaterThan(2);
    const error: unknown = await walkTree(base, { onProgress: appending(Infinity) }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'source_changed', details: { paths: ['log'] } });
  });

  it('hashes again when a file vanishes, grows or becomes something else between two looks', () => {
    write('file', 'content');
    const file = join(base, 'file');
    const before = statSync(file);
    const hash = (): unknown => hashFile(file, before).next().value;
    expect(hash()).toMatchObject({ digest: sha256(Buffer.from('content')) });
    appendFileSync(file, '!');
    expect(hash()).toBeUndefined();
    rmSync(file);
    expect(hash()).toBeUndefined();
    symlinkSync('/etc/passwd', file);
    expect(hash()).toBeUndefined();
  });

  it('keeps content in memory only up to what was asked for', async () => {
    write('a', 'x'.repeat(100));
    write('b', 'y'.repeat(100));
    expect((await walkTree(base)).contents.size).toBe(0);
    const { contents } = await walkTree(base, { retainBytes: 150 });
    expect([...contents.values()].map(String)).toEqual(['x'.repeat(100)]);
  });

  it('stops when it is interrupted', async () => {
    writeFileSync(join(base, 'big'), Buffer.alloc(20_000_000));
    const stop = new AbortController();
    const walking = walkTree(base, { signal: stop.signal, onProgress: () => stop.abort() });
    await expect(walking).rejects.toMatchObject({ code: 'interrupted' });
  });
});
