/** A disk that is full, under a platform that has one of its own. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPlatform, type Platform } from '../support/platform.ts';
import { requireOrSkip } from '../support/skip.ts';

let paas: Platform | undefined;
let disk = '';
beforeAll(async () => {
  const platform = await startPlatform({ up: false });
  disk = join(platform.home, 'platform');
  mkdirSync(disk, { mode: 0o700 });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=160m,mode=700', 'tmpfs', disk], { stdio: 'ignore' });
  } catch {
    await platform.remove(); // No right to mount: the tests say so.
    return;
  }
  paas = platform;
  await paas.up();
  await paas.ok(['push', 'there'], { cwd: paas.source('probe') });
});
afterAll(async () => {
  if (!paas) return;
  rmSync(join(disk, 'ballast'), { force: true });
  await paas.cli(['down']);
  // Its mount point cannot be removed by `down --purge`: the files go first, then the disk.
  execFileSync('umount', [disk]);
  await paas.remove();
});

const free = (): number => {
  const { bavail, bsize } = statfsSync(disk);
  return bavail * bsize;
};
/** Fills the disk but for so many bytes. */
const fill = (leave: number): void => {
  rmSync(join(disk, 'ballast'), { force: true });
  writeFileSync(join(disk, 'ballast'), Buffer.alloc(Math.max(0, free() - leave)));
};
const empty = (): void => rmSync(join(disk, 'ballast'));

describe('a full disk of the control plane', () => {
  it('refuses an upload with exit 7, says what to do, and takes it when there is space again', async (context) => {
    requireOrSkip(context, paas !== undefined, 'a small disk of its own (needs the right to mount)');
    const cwd = paas!.source('probe');
    writeFileSync(join(cwd, 'large'), Buffer.from(Array.from({ length: 3_000_000 }, () => Math.random() * 256)));
    fill(66 << 20);
    const refused = await paas!.cli(['push', 'large', '--json'], { cwd });
    expect([refused.code, refused.error.code], refused.toString()).toEqual([7, 'disk_full']);
    empty();
    await paas!.ok(['push', 'large'], { cwd });
    expect((await paas!.get('large')).text).toBe('version 1');
  });

  it('to the last byte: apps go on, status says so or answers an error, and all is well when there is space again', async (context) => {
    requireOrSkip(context, paas !== undefined, 'a small disk of its own (needs the right to mount)');
    const load = paas!.load('there');
    fill(0);
    const refused = await paas!.cli(['config', 'set', 'A=1', '-a', 'there', '--json']);
    expect(refused.code, refused.toString()).not.toBe(0);
    expect(refused.error.code).toMatch(/disk_full|unavailable|outcome_unknown/);
    await paas!.get('there', '/print?text=written+to+a+full+disk');
    await paas!.waitFor('100 requests meanwhile', () => load.count > 100);
    empty();
    expect((await load.stop()).failures).toEqual([]);
    await paas!.up();
    await paas!.waitFor(
      'the line to arrive',
      async () => (await paas!.logs('there', '--grep', 'written to a full disk')).length === 1,
    );
    await paas!.ok(['config', 'set', 'A=2', '-a', 'there']);
    expect((await paas!.get('there', '/env?name=A')).text).toBe('2');
  });

  it('is warned of before it is full', async (context) => {
    requireOrSkip(context, paas !== undefined, 'a small disk of its own (needs the right to mount)');
    fill(5 << 20);
    await paas!.waitFor('a warning', async () =>
      (await paas!.json<{ warnings: string[] }>(['status'])).warnings.some((text) => /disk/i.test(text)),
    );
    empty();
  });
});
