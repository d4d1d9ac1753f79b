import {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createControlHttp, type ControlHttp } from '../../../../src/agent/link-http.ts';
import { openTrees, type Trees } from '../../../../src/agent/trees/index.ts';
import { FakeControl } from '../../../support/fake-control.ts';

const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };
let control: FakeControl;
let http: ControlHttp;
let directory: string;
let trees: Trees;
let out: string;
let made = 0;
const place = () => join(out, String(made++));

beforeEach(async () => {
  control = await new FakeControl().start();
  control.keys.set('k', 'secret');
  directory = mkdtempSync(join(tmpdir(), 'paas-trees-'));
  out = mkdtempSync(join(tmpdir(), 'paas-out-'));
  http = createControlHttp(control.url);
  http.setKey({ keyId: 'k', secret: 'secret' });
  trees = openTrees(directory, http, quiet);
});
afterEach(async () => {
  trees.close();
  http.close();
  await control.stop();
  rmSync(directory, { recursive: true });
  rmSync(out, { recursive: true });
});

const big = 'x'.repeat(3_000_000);
const files = () => ({
  'a.txt': 'hello',
  'bin/run': { text: '#!/bin/sh\n', mode: 0o755 as const },
  'bin/link': { link: 'run' },
  'deep/er/big': big,
  empty: '',
  'ümläut\n': 'named',
});

/** Damages every pack in which the text lies. */
function damage(text: string): void {
  let hit = 0;
  for (const name of readdirSync(directory).filter((file) => file.endsWith('.pack'))) {
    const bytes = readFileSync(join(directory, name));
    const at = bytes.indexOf(text);
    if (at < 0) continue;
    bytes[at] = bytes[at]! ^ 1;
    writeFileSync(join(directory, name), bytes);
    hit++;
  }
  expect(hit).toBeGreaterThan(0);
}

describe('trees on a host', () => {
  it('writes a tree with contents, modes and links, after one request', async () => {
    const root = control.trees.addTree(files());
    const dest = place();
    await trees.materialise(root, dest);
    expect(readFileSync(join(dest, 'a.txt'), 'utf8')).toBe('hello');
    expect(readFileSync(join(dest, 'deep/er/big'), 'utf8')).toBe(big);
    expect(readFileSync(join(dest, 'ümläut\n'), 'utf8')).toBe('named');
    expect(statSync(join(dest, 'empty')).size).toBe(0);
    expect(statSync(join(dest, 'bin/run')).mode & 0o777).toBe(0o755);
    expect(statSync(join(dest, 'a.txt')).mode & 0o777).toBe(0o644);
    expect(readlinkSync(join(dest, 'bin/link'))).toBe('run');
    expect(control.requests).toEqual(['POST /v1/agents/trees']);
  });

  it('gives the files to an owner, links too', async () => {
    if (process.getuid?.() !== 0) return;
    const dest = place();
    await trees.materialise(control.trees.addTree(files()), dest, { uid: 12_345, gid: 12_346 });
    for (const path of ['', 'a.txt', 'bin', 'bin/run', 'bin/link', 'deep/er/big']) {
      expect(lstatSync(join(dest, path))).toMatchObject({ uid: 12_345, gid: 12_346 });
    }
  });

  it('needs nothing from the control plane the second time, also after a restart', async () => {
    const root = control.trees.addTree(files());
    await trees.materialise(root, place());
    trees.close();
    await control.stop();
    trees = openTrees(directory, http, quiet);
    const dest = place();
    await trees.materialise(root, dest);
    expect(readFileSync(join(dest, 'a.txt'), 'utf8')).toBe('hello');
  });

  it('fetches only what a changed tree does not share', async () => {
    await trees.ensure(control.trees.addTree(files()));
    let sent = 0;
    control.tamper = (pack) => ((sent += pack.length), pack);
    const dest = place();
    await trees.materialise(control.trees.addTree({ ...files(), 'a.txt': 'changed' }), dest);
    expect(readFileSync(join(dest, 'a.txt'), 'utf8')).toBe('changed');
    expect(readFileSync(join(dest, 'deep/er/big'), 'utf8')).toBe(big);
    expect(sent).toBeLessThan(2000);
  });

  it('shares one fetch among all that ask for a tree', async () => {
    const root = control.trees.addTree(files());
    await Promise.all([1, 2, 3, 4].map(() => trees.materialise(root, place())));
    expect(control.requests).toEqual(['POST /v1/agents/trees']);
  });

  it('fetches again what is damaged on its disk', async () => {
    const root = control.trees.addTree(files());
    await trees.ensure(root);
    damage('hello');
    const dest = place();
    await trees.materialise(root, dest);
    expect(readFileSync(join(dest, 'a.txt'), 'utf8')).toBe('hello');
    expect(control.requests.slice(1)).toEqual(['POST /v1/agents/blobs']);
    await trees.materialise(root, place());
    expect(control.requests).toHaveLength(2);
  });

  it('fetches again a large file and a directory that are damaged', async () => {
    const root = control.trees.addTree(files());
    await trees.ensure(root);
    damage('xxxxxxxx');
    damage('paas-tree-1\n');
    const dest = place();
    await trees.materialise(root, dest);
    expect(readFileSync(join(dest, 'deep/er/big'), 'utf8')).toBe(big);
  });

  it('fetches again after packs or indexes were cut short', async () => {
    const root = control.trees.addTree(files());
    await trees.ensure(root);
    trees.close();
    for (const name of readdirSync(directory)) truncateSync(join(directory, name), 20);
    trees = openTrees(directory, http, quiet);
    const dest = place();
    await trees.materialise(root, dest);
    expect(readFileSync(join(dest, 'a.txt'), 'utf8')).toBe('hello');
  });

  it('goes on where a broken connection stopped', async () => {
    const root = control.trees.addTree(
      Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`f${i}`, `content ${i}`])),
    );
    control.tamper = (pack, path) => (path.endsWith('/trees') ? pack.subarray(0, pack.length - 200) : pack);
    const dest = place();
    await trees.materialise(root, dest);
    expect(readdirSync(dest)).toHaveLength(50);
    expect(control.requests).toEqual(['POST /v1/agents/trees', 'POST /v1/agents/blobs']);
  });

  it('refuses what does not match its digest, and leaves nothing behind', async () => {
    const root = control.trees.addTree({ 'a.txt': 'hello' });
    control.tamper = (pack) => {
      const copy = Buffer.from(pack);
      copy[copy.indexOf('hello')] = 0;
      return copy;
    };
    const dest = place();
    await expect(trees.materialise(root, dest)).rejects.toMatchObject({ code: 'corrupt' });
    expect(lstatSync(dest, { throwIfNoEntry: false })).toBeUndefined();
  });

  it('says which tree cannot be had when the control plane lacks a part', async () => {
    const root = control.trees.addTree({ 'a.txt': 'hello', 'b.txt': 'other' });
    control.trees.objects.delete(control.trees.add('hello'));
    await expect(trees.ensure(root)).rejects.toThrow(/does not send 1 objects/);
  });

  it('never writes over or into what is there', async () => {
    const root = control.trees.addTree({ 'a.txt': 'hello' });
    await expect(trees.materialise(root, out)).rejects.toMatchObject({ code: 'conflict' });
    expect(readdirSync(out)).toEqual([]);
  });

  it('collects what no kept tree reaches, and keeps the rest whole', async () => {
    const old = control.trees.addTree({ ...files(), 'old.txt': 'o'.repeat(5_000_000) });
    const kept = control.trees.addTree({ ...files(), 'new.txt': 'new' });
    await trees.ensure(old);
    await trees.ensure(kept);
    const size = () => readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
    const before = size();
    expect(await trees.collect([kept])).toBe(true);
    expect(size()).toBeLessThan(before - 4_900_000);
    const requests = control.requests.length;
    await trees.materialise(kept, place());
    expect(control.requests).toHaveLength(requests);
    await trees.collect([]);
    expect(readdirSync(directory)).toEqual([]);
    await trees.materialise(old, place());
  });

  it('joins many small packs', async () => {
    const roots: string[] = [];
    for (let i = 0; i < 20; i++) {
      roots.push(control.trees.addTree({ ...files(), version: String(i) }));
      await trees.ensure(roots[i]!);
    }
    await trees.collect(roots);
    expect(readdirSync(directory).length).toBeLessThan(6);
    const requests = control.requests.length;
    for (const root of roots) await trees.materialise(root, place());
    expect(control.requests).toHaveLength(requests);
  });

  it('does not collect while a tree is being written', async () => {
    const root = control.trees.addTree(files());
    const writing = trees.materialise(root, place());
    expect(await trees.collect([])).toBe(false);
    await writing;
  });
});
