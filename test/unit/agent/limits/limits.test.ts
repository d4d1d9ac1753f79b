import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cgroupRoot, openLimits } from '../../../../src/agent/limits/cgroup.ts';
import { exactMemoryMb, watchedUsage } from '../../../../src/agent/limits/watch.ts';
import { readProcess } from '../../../../src/shared/processes.ts';
import { requireOrSkip } from '../../../support/skip.ts';
import { eventually } from '../../../support/eventually.ts';

describe.runIf(process.platform === 'linux')('limits', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(path.join(tmpdir(), 'paas-cgroup-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  it('says what it cannot enforce where cgroups are not writable', () => {
    const limits = openLimits('host', root);
    expect(limits.enforcedBy).toBe('watch');
    expect(limits.notices).toHaveLength(2);
    const group = limits.open('ins_1', { memoryMb: 64, cpu: 1 });
    expect(group).toMatchObject({ join: [], visible: {} });
    expect(group.pids()).toEqual([]);
    expect(group.oomKills()).toBe(0);
  });

  it('measures processes by /proc', () => {
    const own = readProcess(process.pid)!;
    expect(watchedUsage([own]).memoryMb).toBeGreaterThan(10);
    expect(exactMemoryMb([own])).toBeGreaterThan(10);
    expect(watchedUsage([own]).cpuSeconds).toBeGreaterThan(0);
    expect(watchedUsage([{ ...own, pid: 2 ** 22 + 1, cpuTicks: 0 }])).toEqual({ cpuSeconds: 0, memoryMb: 0 });
  });

  it('limits, measures and removes a group of the kernel', async (context) => {
    const host = `test-${process.pid}`;
    const limits = openLimits(host);
    requireOrSkip(context, limits.enforcedBy === 'kernel', limits.notices.join('; '));
    const group = limits.open('ins_1', { memoryMb: 64, cpu: 0.5 });
    const child = spawn('/bin/sh', ['-c', 'read go; exec sleep 600'], { stdio: ['pipe', 'ignore', 'ignore'] });
    await once(child, 'spawn');
    for (const file of group.join) writeFileSync(file, String(child.pid));
    child.stdin.end('go\n');
    expect(group.pids()).toEqual([child.pid]);
    expect(group.usage(() => []).memoryMb).toBeLessThan(64);
    group.remove(); // without effect while a process is in it
    expect(group.pids()).toEqual([child.pid]);
    expect(limits.open('ins_1', { memoryMb: 32, cpu: null }).pids()).toEqual([child.pid]);
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    await eventually(() => {
      group.remove();
      return group.join.filter((file) => existsSync(file));
    }).toEqual([]);
    expect(existsSync(path.join(cgroupRoot, 'memory', 'paas', host))).toBe(false);
  });

  it('does not take a cgroup v2 that passes no controllers on', () => {
    const files = { 'cgroup.controllers': 'memory cpu', 'cgroup.procs': '', 'cgroup.subtree_control': '' };
    for (const [name, text] of Object.entries(files)) writeFileSync(path.join(root, name), text);
    expect(openLimits('host', root).enforcedBy).toBe('watch'); // a group without memory.max: not delegated
    expect(readFileSync(path.join(root, 'cgroup.subtree_control'), 'utf8')).toBe('+cpu');
  });
});
