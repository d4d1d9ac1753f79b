import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { groupDirectories, removeGroups } from '../../../src/localcloud/cgroups.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'paas-cgroups-'));
});
afterEach(() => rmSync(root, { recursive: true }));

describe('control groups of instances', () => {
  it('are found in both versions, and nothing else is', () => {
    const text =
      '4:memory:/paas/h1/web.1\n3:cpu,cpuacct:/paas/h1/web.1\n2:pids:/user.slice\n1:name=systemd:/paas\n0::/paas/h1/web.1\n';
    expect(groupDirectories(text, '/g')).toEqual([
      '/g/memory/paas/h1/web.1',
      '/g/cpu,cpuacct/paas/h1/web.1',
      '/g/paas/h1/web.1',
      '/g/unified/paas/h1/web.1',
    ]);
    expect(groupDirectories('0::/paas/h1\n0::/paas/h1/../../etc\n0::/\n', '/g')).toEqual([]);
  });

  it('are removed with their host’s directory, unless somebody else is in it', () => {
    const make = (path: string) => {
      mkdirSync(join(root, path), { recursive: true });
      return join(root, path);
    };
    const [one, two, other] = [make('memory/paas/h1/a'), make('memory/paas/h2/a'), make('memory/paas/h2/b')];
    removeGroups([one, two, join(root, 'nowhere/paas/h1/a')]);
    expect([one, two, other].map((path) => existsSync(path))).toEqual([false, false, true]);
    expect(existsSync(join(root, 'memory/paas/h1'))).toBe(false);
  });
});
