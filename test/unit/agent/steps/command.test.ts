import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { LimitGroup } from '../../../../src/agent/limits/port.ts';
import { removeTree } from '../../../../src/agent/remove-tree.ts';
import { processRuntime } from '../../../../src/agent/runtimes/process.ts';
import { runCommand } from '../../../../src/agent/steps/command.ts';
import { eventually } from '../../../support/eventually.ts';
import { commandLines, openTemporary } from '../../../support/instances.ts';

vi.setConfig({ testTimeout: 60_000 });

let directory: string;
beforeEach(() => {
  directory = openTemporary();
  mkdirSync(join(directory, 'app'));
});
afterEach(() => removeTree(directory));

/** As on a host without cgroups. */
const noGroup: LimitGroup = {
  ...{ join: [], visible: {}, pids: () => [], oomKills: () => 0, remove: () => undefined },
  usage: () => ({ cpuSeconds: 0, memoryMb: 0 }),
};
const run = (script: string) =>
  runCommand(
    processRuntime.run(
      {
        ...{ directory, hostname: 'build', base: { kind: 'host' }, owner: null, cgroups: {} },
        env: { PATH: process.env['PATH']! },
      },
      ['/bin/sh', '-c', script],
    ),
    {
      ...{ id: 'bld_left', directory, owner: null, scriptDirectory: directory, group: noGroup },
      ...{ watchMemoryMb: undefined, signal: new AbortController().signal },
    },
  );
const output = () => readFileSync(join(directory, 'logs', 'stdout.log'), 'utf8');

it('ends what a command left in a session of its own, on a host without cgroups', async () => {
  expect(await run('setsid sleep 86541 & sleep 0.2; echo done; exit 5')).toMatchObject({ code: 5, oom: false });
  expect(output()).toBe('done\n');
  await eventually(() => commandLines().filter((line) => line.includes('sleep 86541'))).toEqual([]);
});

it('goes on although something got away that keeps the output open', async () => {
  const pid = join(directory, 'app', 'pid');
  const ended = run(
    `env -i setsid sh -c 'echo $$ > ${pid}.new; mv ${pid}.new ${pid}; exec sleep 600' & until [ -e ${pid} ]; do sleep 0.05; done; echo done`,
  );
  expect(await Promise.race([ended, sleep(40_000, undefined, { ref: false })])).toMatchObject({ code: 0 });
  process.kill(Number(readFileSync(pid, 'utf8')));
  expect(output()).toBe('done\n');
});
