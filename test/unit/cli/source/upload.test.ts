import { mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSource } from '../../../../src/cli/source/index.ts';
import { StatCache } from '../../../../src/cli/source/stat-cache.ts';
import { uploadSource, type UploadTransport } from '../../../../src/cli/source/upload.ts';
import { walkSource } from '../../../../src/cli/source/walk.ts';
import { openPackStore } from '../../../../src/control/blobs/packs.ts';
import type { BlobStore } from '../../../../src/control/blobs/port.ts';
import { readTexts } from './texts.ts';

const direct = (store: BlobStore): UploadTransport => ({
  missing: (digests) => store.missing(digests, 'push'),
  beginUpload: (totalBytes) => store.begin({ totalBytes, lease: 'push' }),
  putChunk: (id, offset, bytes) => store.append(id, offset, bytes),
  finish: async (id) => {
    await store.finish(id);
  },
  status: (id) => store.status(id),
  abort: (id) => store.abort(id),
});

describe('uploadSource', () => {
  let base: string;
  let home: string;
  let store: BlobStore;
  beforeEach(async () => {
    [base, home] = ['src', 'home'].map((name) => mkdtempSync(join(tmpdir(), `paas-upload-${name}-`))) as [
      string,
      string,
    ];
    store = await openPackStore(join(home, 'blobs'));
    writeFileSync(join(base, 'a'), 'aaa');
    writeFileSync(join(base, 'b'), 'bbb');
  });
  afterEach(async () => {
    await store.close();
    for (const directory of [base, home]) rmSync(directory, { recursive: true });
  });

  it('brings a source to the store, and nothing the second time', async () => {
    const source = await openSource({ path: base });
    const { tree, sent } = await uploadSource(source, direct(store), { home });
    expect(sent.files).toBe(2);
    expect(await readTexts(store, tree.root)).toEqual({ a: 'aaa', b: 'bbb' });
    expect((await uploadSource(source, direct(store), { home })).sent).toEqual({ files: 0, bytes: 0 });
  });

  it('reads everything again when the stat cache turns out to be wrong', async () => {
    const source = await openSource({ path: base });
    const lie = await walkSource(source, { home });
    writeFileSync(join(base, 'a'), 'AAA');
    // A cache that takes the new file for the old one: times set back, trusted.
    const stat = statSync(join(base, 'a'));
    const cache = StatCache.open(home, source.directory);
    const record = cache.get('')!;
    record.stats.set([stat.size, stat.mtimeMs, stat.ctimeMs, stat.ino], 0);
    cache.save([record]);
    expect((await walkSource(source, { home })).root).toBe(lie.root);
    const { tree } = await uploadSource(source, direct(store), { home });
    expect(await readTexts(store, tree.root)).toEqual({ a: 'AAA', b: 'bbb' });
    expect((await walkSource(source, { home })).root).toBe(tree.root);
    utimesSync(base, 1, 1);
  });

  it('takes in what is saved while it is being sent', async () => {
    const source = await openSource({ path: base });
    writeFileSync(join(base, 'big'), Buffer.alloc(20_000_000));
    let saved = false;
    const transport: UploadTransport = {
      ...direct(store),
      beginUpload: (totalBytes) => {
        if (!saved) writeFileSync(join(base, 'big'), 'smaller');
        saved = true;
        return store.begin({ totalBytes });
      },
    };
    const { tree } = await uploadSource(source, transport, { home });
    expect((await readTexts(store, tree.root)).big).toBe('smaller');
    expect(store.stats().uploads).toBe(0);
  });
});
