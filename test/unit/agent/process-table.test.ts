/** Reading the process table for many at once: dear on a host that is full, and wrong if it is a moment too old. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { nextProcesses } from '../../../src/agent/process-table.ts';

it('is read once for all who ask at the same time', async () => {
  const tables = await Promise.all(Array.from({ length: 50 }, () => nextProcesses()));
  expect(new Set(tables).size).toBe(1);
});

it('has everybody who was there when it was asked for', async () => {
  for (let i = 0; i < 10; i++) {
    const earlier = nextProcesses();
    const child = spawn('sleep', ['60'], { stdio: 'ignore' });
    await once(child, 'spawn');
    const later = nextProcesses();
    await earlier;
    expect((await later).map(({ pid }) => pid)).toContain(child.pid);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect((await nextProcesses()).map(({ pid }) => pid)).not.toContain(child.pid);
  }
});
