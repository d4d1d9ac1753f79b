/** The suite of the BlobStore port; each driver runs it. */
import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BlobStore } from '../../src/control/blobs/port.ts';
import { decodeDirectory, encodeDirectory, type TreeEntry } from '../../src/shared/tree/directory.ts';
import { sha256 } from '../../src/shared/tree/hash.ts';
import { encodePack, type PackObject } from '../../src/shared/tree/pack.ts';
import { listFiles, lookup } from '../../src/shared/tree/reader.ts';
import { PackParser } from '../../src/shared/tree/unpack.ts';

export interface BlobStoreUnderTest {
  /** Opens the store; a second call opens what is there again, as after a restart. */
  open(now: () => number): Promise<BlobStore>;
  cleanUp(): Promise<void>;
}

export const blob = (content: Buffer | string): PackObject => {
  const source = Buffer.from(content);
  return { kind: 'blob', digest: sha256(source), size: source.length, source };
};

export const tree = (children: Record<string, PackObject>): PackObject => {
  const entries = Object.entries(children).map(([name, object]): TreeEntry => {
    const kind = object.kind === 'tree' ? 'dir' : 'file';
    return { name, kind, mode: kind === 'dir' ? 0o755 : 0o644, size: object.size, digest: object.digest };
  });
  return { ...blob(encodeDirectory(entries)), kind: 'tree' };
};

export const packOf = (objects: PackObject[]): Buffer => Buffer.concat([...encodePack(objects, 1 << 16)]);

export async function upload(store: BlobStore, objects: PackObject[], lease?: string): Promise<string> {
  const pack = packOf(objects);
  const { id } = await store.begin({ totalBytes: pack.length, ...(lease === undefined ? {} : { lease }) });
  for (let at = 0; at < pack.length; at += 100_000) await store.append(id, at, pack.subarray(at, at + 100_000));
  await store.finish(id);
  return id;
}

const hour = 3_600_000;

export function blobStoreSuite(name: string, make: () => Promise<BlobStoreUnderTest>): void {
  describe(`blob store: ${name}`, () => {
    let under: BlobStoreUnderTest;
    let store: BlobStore;
    let clock: number;
    const code = async (action: Promise<unknown>): Promise<unknown> =>
      action.then(
        () => 'no error',
        (error: unknown) => (error as { code?: string }).code,
      );

    beforeEach(async () => {
      clock = Date.now();
      under = await make();
      store = await under.open(() => clock);
    });
    afterEach(async () => {
      await store.close();
      await under.cleanUp();
    });
    const reopen = async (): Promise<void> => {
      await store.close();
      store = await under.open(() => clock);
    };

    const a = blob('alpha');
    const big = blob(randomBytes(3_000_000));
    const empty = blob('');
    const inner = tree({ 'a.txt': a, empty, 'ü\n.txt': a });
    const root = tree({ big, inner });
    const all = [a, big, empty, inner, root];

    it('gives back what was uploaded, also after a restart', async () => {
      await upload(store, all);
      for (const again of [false, true]) {
        if (again) await reopen();
        expect(store.has(all.map(({ digest }) => digest))).toEqual(all.map(() => true));
        expect((await store.readBlob(big.digest)).equals(big.source as Buffer)).toBe(true);
        expect(await store.readBlob(empty.digest)).toHaveLength(0);
        expect((await buffer(await store.stream(big.digest))).equals(big.source as Buffer)).toBe(true);
        expect(await store.readDir(root.digest)).toEqual(decodeDirectory(root.source as Buffer));
        expect(await store.assertComplete(root.digest)).toEqual({ files: 4, bytes: 3_000_010, depth: 1 });
        expect((await lookup(store, root.digest, 'inner/a.txt'))?.digest).toBe(a.digest);
        const paths = [];
        for await (const { path } of listFiles(store, root.digest)) paths.push(path);
        expect(paths).toEqual(['big', 'inner/a.txt', 'inner/empty', 'inner/ü\n.txt']);
      }
    });

    it('streams packs that hold each object once', async () => {
      await upload(store, all);
      const wanted = [root, big, a, inner, a].map(({ digest }) => digest);
      const { stream, bytes } = await store.packStream(wanted);
      const pack = await buffer(stream);
      expect(pack).toHaveLength(bytes);
      const got: string[] = [];
      const note = ({ digest }: { digest: string }): void => void got.push(digest);
      const parser = new PackParser({ object: note, begin: () => undefined, data: () => undefined, end: note });
      parser.write(pack);
      parser.finish();
      expect(got.sort()).toEqual([...new Set(wanted)].sort());
      expect(await code(store.packStream([a.digest, sha256(Buffer.from('?'))]))).toBe('not_found');
    });

    it('shows nothing of an upload before it is finished', async () => {
      const pack = packOf(all);
      const { id } = await store.begin({ totalBytes: pack.length });
      await store.append(id, 0, pack);
      expect(store.has([a.digest])).toEqual([false]);
      expect(await code(store.readBlob(a.digest))).toBe('not_found');
      expect((await store.finish(id)).finished).toBe(true);
      expect(store.has([a.digest])).toEqual([true]);
      expect((await store.finish(id)).finished).toBe(true);
      expect(await store.status(id)).toMatchObject({ finished: true, offset: pack.length });
    });

    it('goes on with an upload after a broken connection and after a restart', async () => {
      const pack = packOf(all);
      const { id } = await store.begin({ totalBytes: pack.length });
      await store.append(id, 0, pack.subarray(0, 1000));
      expect((await store.append(id, 0, pack.subarray(0, 1000))).offset).toBe(1000);
      expect(await code(store.append(id, 500, pack.subarray(500, 2000)))).toBe('conflict');
      expect(await code(store.append(id, 2000, pack.subarray(2000)))).toBe('conflict');
      expect(await code(store.finish(id))).toBe('conflict');
      await reopen();
      const { offset } = await store.status(id);
      expect(offset).toBe(1000);
      await store.append(id, offset, pack.subarray(offset, 77_777));
      await reopen();
      await store.append(id, 77_777, pack.subarray(77_777));
      await store.finish(id);
      await reopen();
      expect((await store.status(id)).finished).toBe(true);
      await store.assertComplete(root.digest);
    });

    it('refuses content that does not match its digest, and keeps nothing of it', async () => {
      const pack = packOf(all);
      pack[60]! ^= 1;
      const { id } = await store.begin({ totalBytes: pack.length });
      expect(await code(store.append(id, 0, pack))).toBe('corrupt');
      expect(await code(store.status(id))).toBe('not_found');
      expect(store.stats()).toMatchObject({ objects: 0, uploads: 0, bytes: 0 });
    });

    it('refuses streams that are cut short, too long or no packs, and malformed directories', async () => {
      const pack = packOf([a]);
      const short = await store.begin({ totalBytes: pack.length - 1 });
      await store.append(short.id, 0, pack.subarray(0, -1));
      expect(await code(store.finish(short.id))).toBe('corrupt');
      const long = await store.begin({ totalBytes: pack.length });
      expect(await code(store.append(long.id, 0, Buffer.concat([pack, pack])))).toBe('bad_request');
      const noise = await store.begin({ totalBytes: 100 });
      expect(await code(store.append(noise.id, 0, randomBytes(100)))).toBe('corrupt');
      const broken = blob(Buffer.concat([root.source as Buffer, Buffer.from('x')]));
      expect(await code(upload(store, [{ ...broken, kind: 'tree' }]))).toBe('bad_request');
      expect(await code(store.begin({ totalBytes: -1 }))).toBe('bad_request');
      expect(await code(store.begin({ totalBytes: 2 ** 50 }))).toBe('too_large');
      expect(await code(store.append('pak_unknown', 0, pack))).toBe('not_found');
      await store.abort(long.id);
      await store.abort(long.id);
      expect(store.stats()).toMatchObject({ objects: 0, uploads: 0 });
    });

    it('answers that a directory is missing while anything below it is', async () => {
      await upload(store, [root, inner, a, empty]);
      const asked = all.map(({ digest }) => digest);
      expect((await store.missing(asked, 'push')).sort()).toEqual([big.digest, root.digest].sort());
      expect(await store.missingFrom(root.digest)).toEqual([{ digest: big.digest, path: 'big' }]);
      const error: unknown = await store.assertComplete(root.digest).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'conflict' });
      expect((error as Error).message).toContain('"big"');
      await upload(store, [big]);
      expect(await store.missing(asked, 'push')).toEqual([]);
      expect(await store.missing(['nonsense', '..'], 'push')).toEqual(['nonsense', '..']);
    });

    it('stores objects of the server itself', async () => {
      const digests = await store.put([Buffer.from('one'), Buffer.from('two'), Buffer.alloc(0)]);
      expect(digests[0]).toBe(sha256(Buffer.from('one')));
      await reopen();
      expect(store.has(digests)).toEqual([true, true, true]);
      expect((await store.readBlob(digests[1]!)).toString()).toBe('two');
      expect(await store.put([])).toEqual([]);
    });

    it('takes uploads of the same objects at the same time', async () => {
      await Promise.all([upload(store, all), upload(store, all), upload(store, [a])]);
      await store.assertComplete(root.digest);
      await reopen();
      await store.assertComplete(root.digest);
    });

    describe('collection', () => {
      const old = async (): Promise<void> => {
        clock += 24 * hour;
        await Promise.resolve();
      };
      const other = tree({ b: blob('beta'), a });

      it('keeps what a live root reaches and removes the rest', async () => {
        await upload(store, all);
        await upload(store, [other, blob('beta')]);
        const dead = Array.from({ length: 20 }, (_, i) => blob(`dead ${i} ${'x'.repeat(1000)}`));
        await upload(store, [...dead, blob('alive')]);
        await old();
        const alive = tree({ alive: blob('alive') });
        await upload(store, [alive]);
        const collected = await store.collect([root.digest, alive.digest], { graceMs: hour });
        expect(collected).toMatchObject({ damaged: [], removedObjects: 22 });
        expect(collected.freedBytes).toBeGreaterThan(20_000);
        for (const again of [false, true]) {
          if (again) await reopen();
          await store.assertComplete(root.digest);
          await store.assertComplete(alive.digest);
          expect((await store.readBlob(blob('alive').digest)).toString()).toBe('alive');
          expect(store.has([other.digest, dead[3]!.digest])).toEqual([false, false]);
        }
      });

      it('leaves alone what a client was told is there, until its lease runs out', async () => {
        await upload(store, all);
        await old();
        expect(await store.missing([inner.digest], 'push')).toEqual([]);
        await store.collect([], { graceMs: hour });
        await store.assertComplete(inner.digest);
        await old();
        await store.collect([], { graceMs: hour });
        expect(store.has([inner.digest])).toEqual([false]);
      });

      it('leaves alone what a running upload relies on', async () => {
        await upload(store, all);
        await old();
        await store.missing([inner.digest], 'push');
        const next = tree({ inner, new: blob('new') });
        const pack = packOf([blob('new'), next]);
        const { id } = await store.begin({ totalBytes: pack.length, lease: 'push' });
        for (let at = 0; at < pack.length; at += 40) {
          clock += hour / 4; // each sign of life renews the lease
          await store.append(id, at, pack.subarray(at, at + 40));
          await store.collect([], { graceMs: hour });
        }
        await store.finish(id);
        await store.collect([], { graceMs: hour });
        await store.assertComplete(next.digest);
      });

      it('can run while uploads and reads are under way', async () => {
        await upload(store, [...all, blob(randomBytes(4_000_000))]);
        await old();
        const reading = buffer((await store.packStream(all.map(({ digest }) => digest))).stream);
        const [collected, pack] = await Promise.all([
          store.collect([root.digest], { graceMs: hour }),
          reading,
          upload(store, [other, blob('beta')]),
          code(store.collect([], { graceMs: 0 })).then((answer) => expect(answer).toBe('locked')),
        ]);
        expect(collected.freedBytes).toBeGreaterThan(3_900_000);
        expect(pack.length).toBeGreaterThan(3_000_000);
        await store.assertComplete(root.digest);
        await store.assertComplete(other.digest);
      });

      it('removes nothing when a live root is damaged or when it was just opened', async () => {
        await upload(store, [...all, other]);
        await old();
        const gone = sha256(Buffer.from('gone'));
        expect(await store.collect([root.digest, gone], { graceMs: hour })).toMatchObject({
          skipped: 'damaged',
          damaged: [gone],
        });
        await reopen();
        expect(await store.collect([], { graceMs: hour })).toMatchObject({ skipped: 'just-opened' });
        await store.assertComplete(root.digest);
      });

      it('gives up uploads that rest for long', async () => {
        const { id } = await store.begin({ totalBytes: 100 });
        await old();
        expect(await store.collect([], { graceMs: hour })).toMatchObject({ expiredUploads: 1 });
        expect(await code(store.status(id))).toBe('not_found');
      });

      it('merges many small packs', async () => {
        const roots: string[] = [];
        for (let i = 0; i < 80; i++) roots.push(...(await store.put([Buffer.from(`object ${i}`)])));
        await old();
        await store.collect(roots, { graceMs: hour });
        expect(store.stats().packs).toBe(1);
        await reopen();
        expect(store.has(roots).every(Boolean)).toBe(true);
      });
    });
  });
}
