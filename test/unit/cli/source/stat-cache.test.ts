import {
  chmodSync,
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
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openSource } from '../../../../src/cli/source/index.ts';
import { StatCache } from '../../../../src/cli/source/stat-cache.ts';
import { walkSource } from '../../../../src/cli/source/walk.ts';
import type { WalkedTree } from '../../../../src/shared/tree/walk.ts';

describe('the stat cache', () => {
  let base: string;
  let home: string;
  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'paas-cache-src-'));
    home = mkdtempSync(join(tmpdir(), 'paas-home-'));
    mkdirSync(join(base, 'sub/empty'), { recursive: true });
    writeFileSync(join(base, 'a\nb'), 'one');
    writeFileSync(join(base, 'sub/grüße'), 'two');
    symlinkSync('a\nb', join(base, 'link'));
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 });
  });
  afterEach(() => {
    vi.useRealTimers();
    for (const directory of [base, home]) rmSync(directory, { recursive: true });
  });
  const walk = async (): Promise<WalkedTree> => walkSource(await openSource({ path: base }), { home });
  const file = (): string => join(home, 'cache', readdirSync(join(home, 'cache'))[0]!);

  it('spares the reading of what did not change, in a private file', async () => {
    const first = await walk();
    expect(first.hashedBytes).toBe(6);
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(statSync(join(home, 'cache')).mode & 0o777).toBe(0o700);
    const written = readFileSync(file());
    expect(await walk()).toMatchObject({ root: first.root, hashedBytes: 0, learned: false });
    expect(readFileSync(file()).equals(written)).toBe(true);
    for (const record of first.directories) expect(StatCache.open(home, base).get(record.path)).toEqual(record);
  });

  it('is ignored and written anew when any byte of it is wrong, or it is cut short', async () => {
    const { root } = await walk();
    const good = readFileSync(file());
    for (let at = 0; at < good.length; at += 7) {
      const bad = Buffer.from(good);
      bad[at]! ^= 0x55;
      writeFileSync(file(), bad);
      expect(StatCache.open(home, base).get('')).toBeUndefined();
    }
    for (const length of [0, 5, 39, 40, good.length - 1]) {
      writeFileSync(file(), good.subarray(0, length));
      expect(await walk()).toMatchObject({ root, learned: true });
      expect(await walk()).toMatchObject({ root, learned: false });
    }
  });

  it('is not needed: a home that cannot be written to only makes it slower', async () => {
    writeFileSync(join(home, 'cache'), 'in the way');
    expect((await walk()).files).toBe(3);
    expect((await walk()).files).toBe(3);
    expect(readdirSync(home)).toEqual(['cache']);
  });

  it('does not believe what was written within the tick of its own reading', async () => {
    writeFileSync(join(base, 'fresh'), 'aaa');
    vi.setSystemTime(statSync(join(base, 'fresh')).ctimeMs);
    const first = await walk();
    const second = await walk();
    expect(second.root).toBe(first.root);
    expect(second.hashedBytes).toBeGreaterThan(0);
    chmodSync(join(base, 'fresh'), 0o755);
    expect((await walk()).root).not.toBe(first.root);
  });
});
