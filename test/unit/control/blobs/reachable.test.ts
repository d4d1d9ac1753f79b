import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openPackStore } from '../../../../src/control/blobs/packs.ts';
import { collectTree } from '../../../../src/control/blobs/reachable.ts';
import { blob, tree, upload } from '../../../conformance/blobstore.ts';

describe('collectTree', () => {
  it('names what a host needs for a tree, and not what it has', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'paas-packs-'));
    const store = await openPackStore(directory);
    const [a, b] = [blob('a'), blob('b')];
    const shared = tree({ a });
    const before = tree({ shared, b: a });
    const after = tree({ shared, b });
    await upload(store, [a, b, shared, before, after]);
    const digests = (...objects: { digest: string }[]): string[] => objects.map(({ digest }) => digest).sort();
    expect((await collectTree(store, after.digest)).sort()).toEqual(digests(after, shared, a, b));
    expect((await collectTree(store, after.digest, [before.digest])).sort()).toEqual(digests(after, b));
    expect(await collectTree(store, after.digest, [after.digest])).toEqual([]);
    expect(await collectTree(store, after.digest, [blob('?').digest])).toHaveLength(4);
    await expect(collectTree(store, blob('?').digest)).rejects.toMatchObject({ code: 'not_found' });
    await store.close();
    await rm(directory, { recursive: true });
  });
});
