import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, expect, it, vi } from 'vitest';
import { membersOf } from '../../../src/localcloud/host-processes.ts';
import { psTable } from '../../../src/localcloud/ps-table.ts';
import { signalTree, processIdentity } from '../../../src/shared/processes.ts';

const pids: number[] = [];
afterEach(() => {
  for (const pid of pids.splice(0)) {
    const identity = processIdentity(pid);
    if (identity) signalTree(identity, 'SIGKILL');
  }
});

it('finds a keeper by its argument, with its children, as macOS would', async () => {
  const mark = `/hosts/i-${process.pid}-${Date.now()}/data/instances/web.1`;
  const keeper = spawn('/bin/sh', ['-c', 'sleep 61 & sleep 62; wait', mark], { detached: true, stdio: 'ignore' });
  await once(keeper, 'spawn');
  pids.push(keeper.pid!);
  await vi.waitFor(() => {
    const table = psTable().map((entry) => ({ ...entry, startTime: processIdentity(entry.pid)?.startTime ?? '' }));
    const members = membersOf(table, { agent: null }, ({ command, terminal }) => command.includes(mark) && !terminal);
    const commands = members.map(({ pid }) => table.find((entry) => entry.pid === pid)?.command).sort();
    expect(commands).toEqual([expect.stringContaining(mark), 'sleep 61', 'sleep 62']);
  }, 15_000);
  const self = psTable().find((entry) => entry.pid === process.pid);
  expect(self).toMatchObject({ ppid: process.ppid, pid: process.pid });
});
