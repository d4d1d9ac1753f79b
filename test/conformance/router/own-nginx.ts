/** nginx as a router, for tests of what only it has. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram, spawnDetached } from '../../../src/agent/steps/detached.ts';
import { nginxFiles, type NginxFiles } from '../../../src/router/nginx/layout.ts';
import type { Router } from '../../../src/router/port.ts';
import { createRouter } from '../../../src/router/registry.ts';
import { listProcesses, sendSignal } from '../../../src/shared/processes.ts';
import type { CleanUp } from './support.ts';

export interface OwnNginx {
  router: Router;
  files: NginxFiles;
  master: number;
  /** Those that run, of all configurations. */
  workers: () => number[];
}

export async function startNginx(cleanUp: CleanUp): Promise<OwnNginx> {
  const directory = mkdtempSync(join(tmpdir(), 'paas-nginx-'));
  const made = { directory, address: '127.0.0.1', port: 0, program: [], spawnDetached, run: runProgram };
  const router = createRouter('nginx', made);
  await router.start();
  const files = nginxFiles(directory);
  const master = Number(readFileSync(files.pid, 'utf8'));
  const workers = (): number[] =>
    listProcesses().flatMap(({ pid, ppid, state }) => (ppid === master && state !== 'Z' ? [pid] : []));
  cleanUp.add({
    close: () => {
      for (const pid of [master, ...workers()]) sendSignal(pid, 'SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    },
  });
  return { router, files, master, workers };
}
