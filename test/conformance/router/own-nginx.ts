/** nginx as a router, for tests of what only it has. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram, spawnDetached } from '../../../src/agent/steps/detached.ts';
import { nginxFiles, type NginxFiles } from '../../../src/router/nginx/layout.ts';
import type { Router } from '../../../src/router/port.ts';
import { createRouter } from '../../../src/router/registry.ts';
import { listProcesses } from '../../../src/shared/processes.ts';
import { killNginx, settledNginx } from '../../support/nginx-processes.ts';
import type { CleanUp } from './support.ts';

export interface OwnNginx {
  directory: string;
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
  cleanUp.add({
    close: async () => {
      await killNginx(directory);
      rmSync(directory, { recursive: true, force: true });
    },
  });
  await router.start();
  await settledNginx(directory);
  const files = nginxFiles(directory);
  const master = Number(readFileSync(files.pid, 'utf8'));
  const workers = (): number[] =>
    listProcesses().flatMap(({ pid, ppid, state }) => (ppid === master && state !== 'Z' ? [pid] : []));
  return { directory, router, files, master, workers };
}
