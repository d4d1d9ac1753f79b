import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openPackStore, type PackStoreOptions } from '../../../../src/control/blobs/packs.ts';
import type { BlobStore } from '../../../../src/control/blobs/port.ts';
import { errnoOf } from '../../../../src/shared/errors.ts';
import { collectTree } from '../../../../src/control/blobs/reachable.ts';
import { blob, packOf, tree, upload } from '../../../conformance/blobstore.ts';
import { requireOrSkip } from '../../../support/skip.ts';

const hour = 3_600_000;

describe('the pack store', () => {
  let directory: string;
  let store: BlobStore;
  const open = async (options: PackStoreOptions = {}): Promise<BlobStore> =>
    (store = await openPackStore(directory, options));
  const reopen = async (options: PackStoreOptions = {}): Promise<BlobStore> => {
    await store.close();
    return open(options);
  };
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'paas-packs-'));
    await open();
  });
  afterEach(async () => {
    await store.close();
    await rm(directory, { recursive: true });
  });

  const packs = join('packs');
  const names = async (folder: string): Promise<string[]> => (await readdir(join(directory, folder))).sort();
  const onlyPack = async (): Promise<string> => {
    const name = (await names(packs)).find((one) => one.endsWith('.pack'));
    return join(directory, packs, name!);
  };
  const code = (action: Promise<unknown>): Promise<unknown> =>
    action.then(
      () => 'no error',
      (error: unknown) => (error as { code?: string }).code,
    );
  /** Flips one byte of an object where it lies in the pack. */
  const damage = async (content: Buffer): Promise<void> => {
    const path = await onlyPack();
    const bytes = await readFile(path);
    const at = bytes.indexOf(content.subarray(0, 32));
    bytes[at + 5]! ^= 1;
    await writeFile(path, bytes);
  };

  const small = blob('a small file of some length, so that it can be found');
  const big = blob(randomBytes(5_000_000));
  const root = tree({ small, big });
  const all = [small, big, root];

  it('keeps its files private', async () => {
    await upload(store, all);
    expect((await stat(join(directory, packs))).mode & 0o777).toBe(0o700);
    for (const name of await names(packs)) expect((await stat(join(directory, packs, name))).mode & 0o777).toBe(0o600);
  });

  it.each([
    ['a file', small],
    ['a large file', big],
    ['a directory', root],
  ])('finds %s that was damaged on the disk, calls it missing, and takes it anew', async (_what, object) => {
    await upload(store, all);
    await damage(object.source as Buffer);
    expect(await code(store.assertComplete(root.digest))).toBe(object === root ? 'conflict' : 'no error');
    const reads = [
      () => store.readBlob(object.digest),
      async () => buffer(await store.stream(object.digest)),
      async () => buffer((await store.packStream([object.digest])).stream),
    ];
    for (const read of reads) expect(await code(read())).toMatch(/^(corrupt|not_found)$/);
    expect(store.stats().problems).toEqual([expect.stringContaining(object.digest)]);
    expect(await store.missing([small.digest, big.digest], 'push')).toEqual(object === root ? [] : [object.digest]);
    expect(await store.missing([root.digest], 'push')).toEqual([root.digest]);

    // It is known to be damaged after a restart too, and nothing was deleted.
    await reopen();
    expect(store.stats().problems).toEqual([expect.stringContaining('does not match')]);
    expect(store.has([object.digest])).toEqual([false]);
    await upload(store, [object]);
    await reopen();
    await store.assertComplete(root.digest);
    expect((await store.readBlob(object.digest)).equals(object.source as Buffer)).toBe(true);
  });

  it('sends the sound neighbours of a damaged object', async () => {
    await upload(store, all);
    await damage(small.source as Buffer);
    expect(await code(buffer((await store.packStream([small.digest, root.digest])).stream))).toBe('corrupt');
    expect((await buffer((await store.packStream([root.digest])).stream)).length).toBeGreaterThan(root.size);
  });

  it('makes sidecars again that are missing, damaged or of another pack', async () => {
    await upload(store, all);
    await upload(store, [blob('other')]);
    const sidecars = (await names(packs)).filter((name) => name.endsWith('.idx'));
    const [one, two] = sidecars.map((name) => join(directory, packs, name)) as [string, string];
    const good = await readFile(one);
    const spoil = [
      () => rm(one),
      () => truncate(one, 20),
      () => copyFile(two, one),
      () => writeFile(one, Buffer.alloc(good.length)),
    ];
    for (const action of spoil) {
      await action();
      await reopen();
      await store.assertComplete(root.digest);
      expect((await readFile(one)).equals(good)).toBe(true);
    }
    expect(store.stats().problems).toEqual([]);
  });

  it('opens whatever a crash or a bad disk leaves: says what is wrong, keeps what is sound, deletes nothing', async () => {
    await upload(store, all);
    const path = await onlyPack();
    const good = await readFile(path);
    for (const length of [0, 5, 8, 30, 100, 1_000_000, good.length - 1]) {
      await writeFile(path, good.subarray(0, length));
      await reopen();
      expect(store.stats().problems.join()).toContain(path);
      expect(store.has([small.digest])).toEqual([length > 150]);
      expect(await stat(path)).toMatchObject({ size: length });
    }
    await writeFile(path, good);
    await reopen();
    expect(store.stats().problems).toEqual([]);
    await store.assertComplete(root.digest);
  });

  it('clears away what a kill in the middle of finishing or collecting leaves, and keeps uploads to go on with', async () => {
    const pack = packOf(all);
    const { id } = await store.begin({ totalBytes: pack.length });
    await store.append(id, 0, pack.subarray(0, 1000));
    await writeFile(join(directory, 'uploads/pak_0000.tmp'), 'half a rewritten pack');
    await writeFile(join(directory, 'packs/pak_0000.idx'), 'a sidecar whose pack was deleted');
    await reopen();
    expect(await names('uploads')).toEqual([`${id}.${pack.length}.part`]);
    expect(await names(packs)).toEqual([]);
    // Killed after the rename, before the sidecar: the pack is there and the client may ask for it.
    await store.append(id, 1000, pack.subarray(1000));
    await store.finish(id);
    await rm(join(directory, `packs/${id}.idx`));
    await reopen();
    expect(await store.status(id)).toMatchObject({ finished: true });
    await store.assertComplete(root.digest);
  });

  it('drops an upload whose bytes are no longer what arrived', async () => {
    const pack = packOf(all);
    const { id } = await store.begin({ totalBytes: pack.length });
    await store.append(id, 0, pack.subarray(0, 4000));
    await store.close();
    await writeFile(join(directory, `uploads/${id}.${pack.length}.part`), randomBytes(4000));
    await open();
    expect(await code(store.append(id, 4000, pack.subarray(4000)))).toBe('not_found');
    expect(await names('uploads')).toEqual([]);
  });

  it('loses nothing when it is killed at any moment of a collection', async () => {
    let clock = Date.now();
    const options = { now: () => clock };
    await reopen(options);
    await upload(store, all);
    await upload(store, [...Array.from({ length: 30 }, (_, i) => blob(`dead ${i}`.repeat(100))), blob('alive')]);
    clock += 24 * hour;
    // A copy of the directory between any two of the store's steps is what a kill there would leave. It is taken in one
    // go: a copy that the store overtakes would have neither the old nor the new file.
    const states: string[] = [];
    let last = '';
    const live = tree({ root, alive: blob('alive') });
    await upload(store, [live]);
    const snapshot = (): void => {
      const inside = (folder: string) => readdirSync(join(directory, folder)).map((name) => join(folder, name));
      const files = [...inside('packs'), ...inside('uploads')];
      const stats = files.map((file) => statSync(join(directory, file), { throwIfNoEntry: false }));
      const now = JSON.stringify(stats.map((stat, i) => [files[i], stat?.ino, stat?.size, stat?.mtimeMs]));
      // While the disk is slow, nothing changes for many turns.
      if (now === last) return;
      last = now;
      const copy = join(directory, `copy-${states.length}`);
      for (const folder of ['packs', 'uploads']) mkdirSync(join(copy, folder), { recursive: true });
      for (const file of files) {
        try {
          copyFileSync(join(directory, file), join(copy, file));
        } catch (error) {
          // The one step that was under way was its removal.
          if (errnoOf(error) !== 'ENOENT') throw error;
        }
      }
      states.push(copy);
    };
    const before = store.stats().packs;
    let over = false;
    const watching = (async (): Promise<void> => {
      while (!over) {
        snapshot();
        await nextTurn();
      }
    })();
    await store.collect([live.digest], { graceMs: hour });
    over = true;
    await watching;
    snapshot();
    expect(store.stats().packs).toBeLessThan(before + 1);
    expect(states.length).toBeGreaterThan(2);
    for (const state of states) {
      const copy = await openPackStore(state, options);
      await copy.assertComplete(live.digest);
      await copy.close();
    }
    expect(store.has([blob('dead 3'.repeat(100)).digest])).toEqual([false]);
  });

  it('is not left half-visible by a server that is killed in the middle of an upload', async () => {
    // The store's own process: killed between two chunks, as the kernel would.
    const pack = packOf(all);
    const { id } = await store.begin({ totalBytes: pack.length });
    await store.append(id, 0, pack.subarray(0, 3_000_000));
    const second = await openPackStore(directory);
    expect(second.has([small.digest])).toEqual([false]);
    expect(await second.status(id)).toMatchObject({ offset: 3_000_000 });
    await second.append(id, 3_000_000, pack.subarray(3_000_000));
    await second.finish(id);
    await second.assertComplete(root.digest);
    await second.close();
  });

  it('says that the disk is full, and leaves nothing of what did not fit', async (context) => {
    const mounted = join(directory, 'small-disk');
    await mkdir(mounted);
    const status = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', mounted]).status;
    requireOrSkip(context, status === 0, 'mounting a small file system needs root');
    const full = await openPackStore(mounted, { reserveBytes: 0 });
    try {
      expect(await code(full.begin({ totalBytes: 5_000_000 }))).toBe('disk_full');
      await upload(full, [small]);
      // Two that fit when they begin, and not together.
      const objects = [blob(randomBytes(2_500_000)), blob(randomBytes(2_500_001))];
      const started = await Promise.all(
        objects.map(async (object) => {
          const pack = packOf([object]);
          return { pack, id: (await full.begin({ totalBytes: pack.length })).id };
        }),
      );
      const results: unknown[] = [];
      for (const { id, pack } of started)
        results.push(await code(full.append(id, 0, pack).then(() => full.finish(id))));
      expect(results).toEqual(['no error', 'disk_full']);
      expect(full.stats().uploads).toBe(0);
      expect(await code(full.put([randomBytes(2_000_000)]))).toBe('disk_full');
      expect(await readdir(join(mounted, 'uploads'))).toEqual([]);
      expect((await full.readBlob(small.digest)).toString()).toBe((small.source as Buffer).toString());
    } finally {
      await full.close();
      spawnSync('umount', [mounted]);
    }
  });

  it('marks files that look like directory objects, without being led astray by them', async () => {
    const gone = tree({ x: blob('never uploaded') });
    const fake = { ...gone, kind: 'blob' as const };
    const broken = blob('paas-tree-1\nand then something else');
    const holder = tree({ fake, broken, small });
    let clock = Date.now();
    await reopen({ now: () => clock });
    await upload(store, [fake, broken, small, holder]);
    expect(await store.assertComplete(holder.digest)).toMatchObject({ files: 3 });
    clock += 24 * hour;
    expect(await store.collect([holder.digest], { graceMs: hour })).toMatchObject({ damaged: [], removedObjects: 0 });
    await store.assertComplete(holder.digest);
  });

  it('refuses trees that unfold to more than a disk could hold only where they are listed, not where they are checked', async () => {
    let bomb = tree({ small });
    const levels = [small, bomb];
    for (let i = 0; i < 40; i++) {
      bomb = tree(Object.fromEntries(Array.from({ length: 10 }, (_, j) => [`d${j}`, bomb])));
      levels.push(bomb);
    }
    await upload(store, levels);
    const { files, depth } = await store.assertComplete(bomb.digest);
    expect(files).toBeGreaterThan(1e39);
    expect(depth).toBe(40);
    expect(await collectTree(store, bomb.digest)).toHaveLength(42);
  });
});
