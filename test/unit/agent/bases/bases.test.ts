import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openBases, type Bases } from '../../../../src/agent/bases.ts';
import { createControlHttp, type ControlHttp } from '../../../../src/agent/link-http.ts';
import { unpackTar } from '../../../../src/agent/steps/unpack.ts';
import { FakeControl } from '../../../support/fake-control.ts';

const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };
let control: FakeControl;
let http: ControlHttp;
let work: string;
let directory: string;
let bases: Bases;

beforeEach(async () => {
  control = await new FakeControl().start();
  control.keys.set('k', 'secret');
  work = mkdtempSync(join(tmpdir(), 'paas-bases-'));
  directory = join(work, 'bases');
  mkdirSync(directory);
  http = createControlHttp(control.url);
  http.setKey({ keyId: 'k', secret: 'secret' });
  bases = openBases({ directory, http, log: quiet, unpack: unpackTar });
});
afterEach(async () => {
  http.close();
  await control.stop();
  rmSync(work, { recursive: true });
});

function rootfs(gzip: boolean, options: string[] = [], names: string[] = ['.']): string {
  const root = join(work, 'rootfs');
  mkdirSync(join(root, 'etc'), { recursive: true });
  writeFileSync(join(root, 'etc/os-release'), 'PRETTY_NAME="Test"\n');
  if (!existsSync(join(root, 'bin'))) symlinkSync('usr/bin', join(root, 'bin'));
  const file = join(work, 'rootfs.tar');
  execFileSync('tar', [
    '--create',
    '--file',
    file,
    ...(gzip ? ['--gzip'] : []),
    ...options,
    '--directory',
    root,
    ...names,
  ]);
  const bytes = readFileSync(file);
  const digest = createHash('sha256').update(bytes).digest('hex');
  control.bases.set(digest, bytes);
  return digest;
}

it('is the machine itself for `host`', async () => {
  expect(await bases.resolve({ name: 'host', digest: '0'.repeat(64) })).toEqual({ kind: 'host' });
});

it.each([false, true])(
  'fetches and unpacks a root file system once (gzip: %s), and finds it after a restart',
  async (gzip) => {
    const digest = rootfs(gzip);
    const base = { name: 'debian', digest };
    const [found] = await Promise.all([bases.resolve(base), bases.resolve(base)]);
    expect(found).toEqual({ kind: 'rootfs', path: join(directory, digest) });
    expect(readFileSync(join(directory, digest, 'etc/os-release'), 'utf8')).toContain('Test');
    for (const place of ['app', 'proc', 'dev', 'tmp']) expect(existsSync(join(directory, digest, place))).toBe(true);
    expect(bases.ready()).toEqual([base]);
    await openBases({ directory, http, log: quiet, unpack: unpackTar }).resolve(base);
    expect(control.requests).toHaveLength(1);
    expect(readdirSync(directory)).toEqual([digest]);
  },
);

it('refuses one whose names lead out, and leaves nothing', async () => {
  const digest = rootfs(false, ['--transform', 's,^\\./etc/os-release$,../../escaped,', '--absolute-names']);
  await expect(bases.resolve({ name: 'bad', digest })).rejects.toThrow(/leads out/);
  expect(readdirSync(directory)).toEqual([]);
  expect(existsSync(join(work, 'escaped'))).toBe(false);
});

it('refuses what is no archive, and what does not match its digest', async () => {
  const text = Buffer.from('no archive');
  const digest = createHash('sha256').update(text).digest('hex');
  control.bases.set(digest, text);
  await expect(bases.resolve({ name: 'bad', digest })).rejects.toMatchObject({ code: 'source_invalid' });
  control.bases.set('f'.repeat(64), text);
  await expect(bases.resolve({ name: 'bad', digest: 'f'.repeat(64) })).rejects.toMatchObject({ code: 'corrupt' });
  expect(readdirSync(directory)).toEqual([]);
});

it('keeps one that somebody holds, until all have let go', async () => {
  const digest = rootfs(false);
  const release = [bases.hold({ name: 'debian', digest }), bases.hold({ name: 'debian', digest })];
  await bases.resolve({ name: 'debian', digest });
  release[0]!();
  release[0]!();
  await bases.collect(new Set());
  expect(readdirSync(directory)).toEqual([digest]);
  release[1]!();
  await bases.collect(new Set());
  expect(readdirSync(directory)).toEqual([]);
});

it('removes those that nothing names any more', async () => {
  const digest = rootfs(false);
  await bases.resolve({ name: 'debian', digest });
  await bases.collect(new Set([digest]));
  expect(readdirSync(directory)).toEqual([digest]);
  await bases.collect(new Set());
  expect(readdirSync(directory)).toEqual([]);
  expect(bases.ready()).toEqual([]);
});
