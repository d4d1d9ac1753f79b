/** The router program (bin/paas-router.js). Runs until SIGTERM or SIGINT. */
import { mkdirSync, rmSync } from 'node:fs';
import { writeDurably, readJsonFile } from '../../shared/files.ts';
import { asPaasError, PaasError } from '../../shared/errors.ts';
import { acquireLock } from '../../shared/lock-file.ts';
import { failure, routerFiles, running } from './layout.ts';
import { readOptions, type RouterOptions } from './options.ts';
import { RouterServer } from './server.ts';

/** How long open requests have after SIGTERM. */
const graceMs = 10_000;

/**
 * @returns the exit code
 * @throws PaasError when it cannot start; the driver finds the same error in the directory (`failure.json`)
 */
export async function main(argv: string[], _env: NodeJS.ProcessEnv): Promise<number> {
  const options = readOptions(argv);
  const files = routerFiles(options.directory);
  mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  rmSync(files.failure, { force: true });
  try {
    await run(options);
    return 0;
  } catch (thrown) {
    const error = asPaasError(thrown);
    const { code, message, hint } = error;
    writeDurably(files.failure, JSON.stringify(failure.parse({ pid: process.pid, error: { code, message, hint } })));
    throw error;
  }
}

async function run(options: RouterOptions): Promise<void> {
  const files = routerFiles(options.directory);
  const lock = acquireLock(files.lock, `the router directory ${options.directory}`);
  const server = new RouterServer(options);
  try {
    const stopped = untilSignal();
    await server.start(lastPort(files.running));
    const record = { pid: process.pid, settings: options.settings, port: server.port };
    writeDurably(files.running, JSON.stringify(running.parse(record)));
    await stopped;
  } finally {
    await server.stop(graceMs);
    lock.release();
  }
}

/** The port of the last run, so that addresses stay what they were where any port will do. */
function lastPort(path: string): number {
  try {
    return readJsonFile(path, running)?.port ?? 0;
  } catch (error) {
    if (error instanceof PaasError && error.code === 'corrupt') return 0;
    throw error;
  }
}

function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve());
    process.once('SIGINT', () => resolve());
  });
}
