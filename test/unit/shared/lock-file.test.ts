import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { acquireLock, lockHolder } from '../../../src/shared/lock-file.ts';
import { processIdentity } from '../../../src/shared/processes.ts';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paas-lock-'));
  path = join(directory, 'lock');
});
afterEach(() => rmSync(directory, { recursive: true }));

/** A process that has ended. */
async function deadProcess() {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  await once(child, 'spawn');
  const identity = processIdentity(child.pid!)!;
  child.kill('SIGKILL');
  await once(child, 'exit');
  return identity;
}

describe('a lock file', () => {
  it('is held by one, until it is released', () => {
    const lock = acquireLock(path, 'the thing');
    expect(lockHolder(path)?.pid).toBe(process.pid);
    expect(() => acquireLock(path, 'the thing')).toThrow(
      expect.objectContaining({ code: 'locked', message: `the thing is in use by process ${process.pid}` }),
    );
    lock.release();
    lock.release();
    expect(lockHolder(path)).toBeUndefined();
    acquireLock(path, 'the thing').release();
    expect(readdirSync(directory)).toEqual([]);
  });

  it('of a dead process is taken over', async () => {
    writeFileSync(path, JSON.stringify({ nonce: 'n', ...(await deadProcess()) }));
    expect(lockHolder(path)).toBeUndefined();
    const lock = acquireLock(path, 'the thing');
    expect(lockHolder(path)?.pid).toBe(process.pid);
    expect(readdirSync(directory)).toEqual(['lock']);
    lock.release();
  });

  it('of a number that another process has by now is taken over', () => {
    const own = processIdentity(process.pid)!;
    for (const other of [{ startTime: '1' }, { bootId: 'before the last power cut' }]) {
      writeFileSync(path, JSON.stringify({ nonce: 'n', ...own, ...other }));
      acquireLock(path, 'the thing').release();
    }
  });

  it('cut short by a power cut is taken over', () => {
    for (const text of ['', '{"nonce":"a","pi']) {
      writeFileSync(path, text);
      acquireLock(path, 'the thing').release();
      expect(existsSync(path)).toBe(false);
    }
  });

  it('is not taken from one who is taking it over just now', async () => {
    writeFileSync(path, JSON.stringify({ nonce: 'n', ...(await deadProcess()) }));
    writeFileSync(`${path}.n.next`, '');
    expect(() => acquireLock(path, 'the thing')).toThrow(expect.objectContaining({ code: 'locked' }));
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ nonce: 'n' });
  });

  it('is not released by one who has lost it', () => {
    const lock = acquireLock(path, 'the thing');
    const other = JSON.stringify({ nonce: 'other', ...processIdentity(process.pid)! });
    writeFileSync(path, other);
    lock.release();
    expect(readFileSync(path, 'utf8')).toBe(other);
  });
});
