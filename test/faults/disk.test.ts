/** Disks that are full: the control plane's, and a host's. Each is a small one of its own. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startPlatform, type Platform } from '../support/platform.ts';
import { requireOrSkip } from '../support/skip.ts';
import { mountSmallDisk, type SmallDisk } from '../support/small-disk.ts';

let paas: Platform;
let server: SmallDisk | undefined;
let host: SmallDisk | undefined;
const counter = 'let n = 0; setInterval(() => console.log("number " + n++), 5);';

beforeAll(async () => {
  paas = await startPlatform({ up: false });
  server = mountSmallDisk(join(paas.home, 'platform'), 160);
  host = mountSmallDisk(join(paas.home, 'hosts'), 160, '711');
  if (!server || !host) return; // No right to mount: the tests say so.
  await paas.up();
  await paas.ok(['push', 'there'], { cwd: paas.source('probe') });
  await paas.ok(['push', 'counter'], {
    cwd: paas.directory({ Procfile: 'worker: node count.js\n', 'count.js': counter }),
  });
});
beforeEach((context) => {
  requireOrSkip(
    context,
    server !== undefined && host !== undefined,
    'small disks of its own (needs the right to mount)',
  );
});
afterAll(async () => {
  server?.empty();
  host?.empty();
  if (server && host) await paas.cli(['down']);
  await paas.killEverything();
  // `down --purge` could not remove what is mounted: the disks go first.
  server?.remove();
  host?.remove();
  await paas.remove();
});

/** A source with a few megabytes that the platform has not seen. */
function large(): string {
  const cwd = paas.source('probe');
  writeFileSync(join(cwd, 'large'), randomBytes(3_000_000));
  return cwd;
}

const mark = '[paas] output was lost here';

/**
 * The counter's numbers since its start: every one, once, but for gaps that are told. A number on which the disk became
 * full is no number any more ("number 24" of 2481): what follows it is the mark, or as much of that as there was space.
 */
async function counted(): Promise<number[]> {
  const lines = (await paas.logs('counter', '--source', 'app', '-n', 'all')).map(({ line }) => line);
  const cut = (next: string | undefined): boolean =>
    next !== undefined && (next.startsWith(mark) || mark.startsWith(next));
  return lines
    .filter((line, i) => line.startsWith('number ') && !cut(lines[i + 1]))
    .map((line) => Number(line.slice('number '.length)));
}

describe('a full disk of the control plane', () => {
  it('refuses an upload with exit 7, says what to do, and takes it when there is space again', async () => {
    const cwd = large();
    server?.fill(66 << 20);
    const refused = await paas.cli(['push', 'large', '--json'], { cwd });
    expect([refused.code, refused.error.code], refused.toString()).toEqual([7, 'disk_full']);
    expect(refused.error.hint).toMatch(/free space/i);
    expect(await paas.app('large')).toBeUndefined();
    server?.empty();
    await paas.ok(['push', 'large'], { cwd });
    expect((await paas.get('large')).text).toBe('version 1');
    await paas.ok(['destroy', 'large', '--yes']);
  });

  it('to the last byte while logs are written: apps go on, and each line arrives when there is space again', async () => {
    const load = paas.load('there');
    server?.fill(0);
    const refused = await paas.cli(['config', 'set', 'A=1', '-a', 'there', '--json']);
    expect(refused.code, refused.toString()).not.toBe(0);
    expect(refused.error.code).toMatch(/disk_full|unavailable|outcome_unknown/);
    await paas.get('there', '/print?text=written+to+a+full+disk');
    await paas.waitFor('100 requests meanwhile', () => load.count > 100);
    server?.empty();
    expect((await load.stop()).failures).toEqual([]);
    await paas.up();
    await paas.waitFor(
      'the line to arrive',
      async () => (await paas.logs('there', '--grep', 'written to a full disk')).length === 1,
    );
    const at = (await counted()).length;
    const numbers = await paas.waitFor('newer numbers', async () => {
      const found = await counted();
      return found.length > at + 100 && found;
    });
    expect(numbers.findIndex((number, i) => number !== i)).toBe(-1);
    await paas.ok(['config', 'set', 'A=2', '-a', 'there']);
    expect((await paas.get('there', '/env?name=A')).text).toBe('2');
  });

  it('is warned of before it is full', async () => {
    server?.fill(5 << 20);
    await paas.waitFor('a warning', async () =>
      (await paas.json<{ warnings: string[] }>(['status'])).warnings.some((text) => /disk/i.test(text)),
    );
    server?.empty();
  });
});

describe('a full disk of a host', () => {
  it('fails a push with exit 7, says what to do, and takes it when there is space again', async () => {
    const cwd = large();
    host?.fill(2 << 20);
    const refused = await paas.cli(['push', 'wide', '--json'], { cwd });
    expect([refused.code, refused.error.code], refused.toString()).toEqual([7, 'disk_full']);
    expect(refused.error.hint).toMatch(/free space/i);
    expect((await paas.get('there')).text).toBe('version 1');
    host?.empty();
    await paas.ok(['push', 'wide'], { cwd });
    expect((await paas.get('wide')).text).toBe('version 1');
    await paas.ok(['destroy', 'wide', '--yes']);
  });

  it('to the last byte while logs are written: apps go on, and what was lost is marked', async () => {
    const before = await paas.ps('counter');
    const load = paas.load('there');
    host?.fill(0);
    await paas.waitFor('100 requests meanwhile', () => load.count > 100);
    host?.empty();
    expect((await load.stop()).failures).toEqual([]);
    await paas.waitFor('a line of afterwards', async () => {
      await paas.get('there', '/print?text=there+is+space+again');
      return (await paas.logs('there', '--grep', 'there is space again')).length > 0;
    });
    expect((await paas.ps('counter')).map(({ id, startedAt }) => [id, startedAt])).toEqual(
      before.map(({ id, startedAt }) => [id, startedAt]),
    );
    const at = (await counted()).at(-1) ?? 0;
    const numbers = await paas.waitFor('newer numbers', async () => {
      const found = await counted();
      return (found.at(-1) ?? 0) > at + 100 && found;
    });
    // None twice or out of order; where some are missing, that is said.
    expect(numbers.findIndex((number, i) => i > 0 && number <= (numbers[i - 1] ?? 0))).toBe(-1);
    const holes = numbers.filter((number, i) => i > 0 && number !== (numbers[i - 1] ?? 0) + 1).length;
    const marks = await paas.logs('counter', '--grep', 'output was lost here');
    expect(marks.length >= Math.min(holes, 1)).toBe(true);
    await paas.ok(['config', 'set', 'A=3', '-a', 'there']);
    expect((await paas.get('there', '/env?name=A')).text).toBe('3');
  });
});
