import { spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  realpathSync,
  readlinkSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nginxFiles } from '../../src/router/nginx/layout.ts';
import { reload } from '../../src/router/nginx/master.ts';
import type { RouterConfig, RunProgram, SpawnDetached } from '../../src/router/port.ts';
import { createRouter } from '../../src/router/registry.ts';
import { readAccessLine } from '../../src/shared/access-line.ts';
import { listProcesses, sendSignal } from '../../src/shared/processes.ts';
import { eventually } from '../support/wire.ts';
import { routerConformance } from './router.suite.ts';
import type { MakeOptions, RouterUnderTest } from './router/support.ts';

const spawnDetached: SpawnDetached = (argv, { logFile, env }) => {
  const log = openSync(logFile, 'a', 0o600);
  const child = spawn(argv[0]!, argv.slice(1), { detached: true, stdio: ['ignore', log, log], env });
  closeSync(log);
  child.unref();
  return Promise.resolve(child.pid!);
};

const run: RunProgram = (argv, { timeoutMs }) =>
  new Promise((resolve, reject) => {
    const child = spawn(argv[0]!, argv.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], timeout: timeoutMs });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (output += data.toString()));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });

function configured(options: MakeOptions, directory: string): RouterConfig {
  const { port = 0, ...rest } = options;
  return { directory, address: '127.0.0.1', port, program: [], spawnDetached, run, ...rest };
}

const masterOf = (directory: string): number => Number(readFileSync(join(directory, 'nginx.pid'), 'utf8'));

/** nginx processes of a directory: the master by its command line, workers by where they are. */
function processesOf(directory: string): number[] {
  const home = realpathSync(directory);
  const isOurs = (pid: number): boolean => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
      return (
        command.startsWith('nginx:') && (command.includes(`${directory}/`) || readlinkSync(`/proc/${pid}/cwd`) === home)
      );
    } catch {
      return false; // It ended meanwhile.
    }
  };
  return listProcesses().flatMap(({ pid, state }) => (state !== 'Z' && isOurs(pid) ? [pid] : []));
}

async function make(options: MakeOptions = {}): Promise<RouterUnderTest & { directory: string }> {
  const directory = mkdtempSync(join(tmpdir(), 'paas-nginx-'));
  const router = createRouter('nginx', configured(options, directory));
  const made = {
    router,
    directory,
    processes: () => processesOf(directory),
    restart: () => reload(nginxFiles(directory), masterOf(directory)),
    kill: async () => {
      for (const pid of made.processes()) sendSignal(pid, 'SIGKILL');
      await eventually('the router to be dead', () => made.processes().length === 0);
    },
    accessLog: (file: string) => {
      const path = join(router.accessLogs, file);
      const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
      const lines = text.split('\n').filter((line) => line !== '');
      return Promise.resolve(lines.map(readAccessLine));
    },
    dispose: async () => {
      await made.kill();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  try {
    await router.start();
  } catch (error) {
    await made.dispose();
    throw error;
  }
  return made;
}

routerConformance('nginx', make, ['trailers', 'interim', 'lines', 'framing', 'early', 'duplex', 'h2c', 'handover']);
