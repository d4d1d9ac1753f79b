import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPackStore } from '../../../../src/control/blobs/packs.ts';
import type { BlobStore } from '../../../../src/control/blobs/port.ts';
import { collectTree } from '../../../../src/control/blobs/reachable.ts';
import { addFiles } from '../../../../src/control/builds/overlay.ts';
import { viewOf } from '../../../../src/control/builds/view.ts';
import { MemoryObjects, type Files } from '../../../support/memory-objects.ts';

const directory = mkdtempSync(join(tmpdir(), 'paas-overlay-'));
let blobs: BlobStore;
beforeAll(async () => {
  blobs = await openPackStore(directory);
});
afterAll(async () => {
  await blobs.close();
  rmSync(directory, { recursive: true, force: true });
});

async function tree(files: Files): Promise<string> {
  const memory = new MemoryObjects();
  const root = memory.addTree(files);
  await blobs.put([...memory.objects.values()].map(({ bytes }) => bytes));
  return root;
}

/** All files of a tree: path -> mode and text. */
async function read(root: string, prefix = ''): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const { name, kind, digest, mode } of await blobs.readDir(root)) {
    if (kind === 'dir') Object.assign(found, await read(digest, `${prefix}${name}/`));
    else found[prefix + name] = `${kind} ${mode.toString(8)} ${(await blobs.readBlob(digest)).toString()}`;
  }
  return found;
}

const text = (content: string, mode = 0o644) => ({ text: content, mode });

describe('files added to a stored tree', () => {
  it('stand beside what was there, in directories old and new', async () => {
    const root = await tree({
      'a.txt': 'a',
      'dir/b.txt': 'b',
      'dir/deep/c.sh': { text: 'c', mode: 0o755 },
      link: { link: 'a.txt' },
    });
    const made = await addFiles(blobs, root, {
      '.paas/server.js': text('s'),
      'dir/deep/new': text('n', 0o755),
      top: text('t'),
    });
    expect(await read(made)).toEqual({
      ...(await read(root)),
      '.paas/server.js': 'file 644 s',
      'dir/deep/new': 'file 755 n',
      top: 'file 644 t',
    });
    await blobs.assertComplete(made);
  });

  it('take the place of files, links and directories of that name', async () => {
    const root = await tree({ a: 'old', 'b/inner': 'old', link: { link: 'a' } });
    const made = await addFiles(blobs, root, {
      a: text('new'),
      b: text('now a file'),
      'link/inner': text('now a directory'),
    });
    expect(await read(made)).toEqual({
      a: 'file 644 new',
      b: 'file 644 now a file',
      'link/inner': 'file 644 now a directory',
    });
  });

  it('make the same tree each time, and none is the tree itself', async () => {
    const root = await tree({ a: 'a' });
    const files = { 'x/y': text('1'), z: text('2') };
    expect(await addFiles(blobs, root, files)).toBe(await addFiles(blobs, root, { z: text('2'), 'x/y': text('1') }));
    expect(await addFiles(blobs, root, {})).toBe(root);
    expect(await addFiles(blobs, root, { a: text('a') })).toBe(root);
  });
});

describe('what a host needs of a tree', () => {
  it('is everything below it, once', async () => {
    const memory = new MemoryObjects();
    const root = memory.addTree({ a: 'same', b: 'same', 'd1/x': '1', 'd2/x': '1' });
    await blobs.put([...memory.objects.values()].map(({ bytes }) => bytes));
    const digests = await collectTree(blobs, root);
    expect(new Set(digests)).toEqual(memory.reach(root));
    expect(digests).toHaveLength(new Set(digests).size);
  });

  it('is only what it has not got with another tree', async () => {
    const before = await tree({ a: 'one', 'big/1': 'x', 'big/2': 'y' });
    const after = await tree({ a: 'two', 'big/1': 'x', 'big/2': 'y' });
    const needed = await collectTree(blobs, after, [before]);
    expect(needed).toHaveLength(2);
    expect(needed).toContain(after);
    expect(await collectTree(blobs, after, [after])).toEqual([]);
  });
});

describe('a stored tree as stacks see it', () => {
  it('lists and reads files, and follows no links', async () => {
    const root = await tree({ Procfile: 'web: x', 'src/main.js': 'code', link: { link: 'Procfile' } });
    const view = viewOf(blobs, root);
    expect(await view.list('')).toEqual([
      { name: 'Procfile', kind: 'file' },
      { name: 'link', kind: 'symlink' },
      { name: 'src', kind: 'dir' },
    ]);
    expect((await view.read('src/main.js'))?.toString()).toBe('code');
    for (const path of ['nothing', 'src', 'link', 'src/none', 'Procfile/inner'])
      expect(await view.read(path)).toBeNull();
    expect(await view.list('Procfile')).toEqual([]);
    expect(await view.digestOf('')).toBe(root);
    expect(await view.digestOf('src/main.js')).toMatch(/^[0-9a-f]{64}$/);
  });
});
