/** The embedded router under test: its program, bundled once, and what is seen of its processes from outside. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram, spawnDetached } from '../../../src/agent/steps/detached.ts';
import type { RouterConfig } from '../../../src/router/port.ts';
import { createRouter } from '../../../src/router/registry.ts';
import { readAccessLine } from '../../../src/shared/access-line.ts';
import { readJsonFileIfSound } from '../../../src/shared/files.ts';
import { lockHolder } from '../../../src/shared/lock-file.ts';
import { commandLine, listProcesses, sendSignal } from '../../../src/shared/processes.ts';
import { routerFiles, running } from '../../../src/router/embedded/layout.ts';
import { bundledProgram } from '../../support/bundle.ts';
import { eventually } from '../../support/wire.ts';
import type { MakeOptions, RouterUnderTest } from './support.ts';

const program = async () => [
  process.execPath,
  await bundledProgram('paas-router.js', 'src/router/embedded/main.ts', 'router.js'),
];

export async function configured(options: MakeOptions, directory: string): Promise<RouterConfig> {
  const { port = 0, ...rest } = options;
  return { directory, address: '127.0.0.1', port, program: await program(), spawnDetached, run: runProgram, ...rest };
}

export async function make(options: MakeOptions = {}): Promise<RouterUnderTest & { directory: string }> {
  const directory = mkdtempSync(join(tmpdir(), 'paas-router-'));
  const router = createRouter('embedded', await configured(options, directory));
  const dispose = async (): Promise<void> => {
    await made.kill();
    rmSync(directory, { recursive: true, force: true });
  };
  const made = {
    router,
    directory,
    dispose,
    processes: () =>
      listProcesses()
        .filter(({ pid, state }) => state !== 'Z' && commandLine(pid).includes(`${directory}\0`))
        .map(({ pid }) => pid),
    restart: async () => {
      const { lock, running: record } = routerFiles(directory);
      const before = lockHolder(lock)!.pid;
      process.kill(before, 'SIGHUP');
      // It has the lock before the other one gives the router up; that it runs it says when that is done.
      await eventually('another process to be the router', () => {
        const pid = lockHolder(lock)?.pid;
        return pid !== undefined && pid !== before && readJsonFileIfSound(record, running)?.pid === pid;
      });
    },
    kill: () =>
      eventually('the router to be dead', () => {
        // Again and again: one may have been in the middle of starting another.
        const left = made.processes();
        for (const pid of left) sendSignal(pid, 'SIGKILL');
        return left.length === 0;
      }),
    accessLog: (file: string) => {
      const path = join(router.accessLogs, file);
      const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
      // The last one may still be under way.
      const lines = text.split('\n').slice(0, -1);
      return Promise.resolve(lines.map(readAccessLine));
    },
  };
  try {
    await router.start();
  } catch (error) {
    await dispose();
    throw error;
  }
  return made;
}
