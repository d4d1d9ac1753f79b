/** The router program (bin/paas-router.js). Runs until SIGTERM or SIGINT; at SIGHUP another process takes its place. */
import { once } from 'node:events';
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { readJsonFile, readJsonFileIfSound, writeDurably } from '../../shared/files.ts';
import { asPaasError } from '../../shared/errors.ts';
import { acquireLock, adoptLock, lockHolder, type LockFile } from '../../shared/lock-file.ts';
import { findPredecessor, raiseHeir, type Heir } from './handover.ts';
import { failure, heirFails, next, placeOf, routerFiles, running } from './layout.ts';
import { readOptions, type RouterOptions } from './options.ts';
import { RouterServer } from './server.ts';

/** How long open requests have after SIGTERM. */
const graceMs = 10_000;
/** How long they have behind another process that took over: as nginx's do, until they end by themselves. */
const drainMs = 3600_000;

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
  const what = `the router directory ${options.directory}`;
  const predecessor = findPredecessor();
  let lock = predecessor ? null : acquireLock(files.lock, what);
  const server = new RouterServer(options);
  const told = untilTold();
  let graceful: Promise<void> | null = null;
  const prepared = `${files.running}.${process.pid}`;
  try {
    const note = (port: number): void => {
      const record = { pid: process.pid, settings: options.settings, place: placeOf(options), port };
      writeDurably(prepared, JSON.stringify(running.parse(record)));
    };
    // Where any port will do, the address stays what it was.
    const last = readJsonFileIfSound(files.running, running)?.port ?? 0;
    await server.start(last, async () => {
      // Before another one gives anything: a disk that is full then costs the exchange, and not the router or its clients.
      if (predecessor) note(last);
      await predecessor?.takeSockets();
    });
    if (!predecessor || server.port !== last) note(server.port);
    if (predecessor) {
      server.before = predecessor;
      await predecessor.succeed();
      await server.reload();
      lock = lockAfter(files.lock, what);
    }
    await server.openAdmin();
    renameSync(prepared, files.running);
    for (;;) {
      if ((await told.next()) === 'end') break;
      const heir = await handOver(server, lock!, files.next, told);
      if (!heir) continue;
      graceful = drain(server, heir, told);
      break;
    }
  } finally {
    rmSync(prepared, { force: true });
    if (!graceful) predecessor?.stop();
    await (graceful ?? server.stop(graceMs));
    lock?.release();
  }
}

/** The lock was handed over, or its holder died before it could. */
function lockAfter(path: string, what: string): LockFile {
  return lockHolder(path)?.pid === process.pid ? adoptLock(path, what) : acquireLock(path, what);
}

/**
 * Another process takes over (handover.ts): with the command line that the driver has left, or with this one's own.
 * @returns null when it does not serve: then this one goes on, and its status says why
 */
async function handOver(server: RouterServer, lock: LockFile, nextFile: string, told: Signals): Promise<Heir | null> {
  const argv = readJsonFile(nextFile, next)?.argv ?? [process.execPath, ...process.argv.slice(1)];
  rmSync(nextFile, { force: true });
  const { resume } = await server.holdChanges();
  let heir: Heir | null = null;
  try {
    heir = await raiseHeir(argv, told.ending);
    lock.handTo(heir.pid);
    await server.closeAdmin();
    heir.enthrone();
    return heir;
  } catch (error) {
    heir?.dismiss();
    const { message } = asPaasError(error);
    server.problem = message.startsWith(heirFails) ? message : `${heirFails}: ${message}`;
    return null;
  } finally {
    resume();
  }
}

/** Requests under way end here, for as long as somebody counts them. */
async function drain(server: RouterServer, heir: Heir, told: Signals): Promise<void> {
  const drained = new AbortController();
  const { before } = server;
  heir.onReload(async (withinMs) => {
    await Promise.all([server.reload(), before?.reload(withinMs)]);
  });
  const reporting = heir.report(() => server.open(), drained.signal);
  const hurry = (): void => {
    before?.stop();
    setTimeout(() => server.breakOff(), graceMs).unref();
  };
  if (heir.gone.aborted) hurry();
  else heir.gone.addEventListener('abort', hurry);
  if (told.ending.aborted) hurry();
  else told.ending.addEventListener('abort', hurry);
  // What the process before this one tells goes through here.
  await Promise.all([server.retire(drainMs), before?.gone]);
  drained.abort();
  await reporting;
}

interface Signals {
  /** The next signal: end (SIGTERM, SIGINT), or hand over (SIGHUP). */
  next(): Promise<'end' | 'restart'>;
  /** Aborted by SIGTERM or SIGINT, which stays the next. */
  readonly ending: AbortSignal;
}

function untilTold(): Signals {
  const ending = new AbortController();
  const ended = Promise.race(['SIGTERM', 'SIGINT'].map((signal) => once(process, signal)));
  void ended.then(() => ending.abort());
  let restarts = 0;
  let wake = (): void => undefined;
  process.on('SIGHUP', () => {
    restarts++;
    wake();
  });
  return {
    ending: ending.signal,
    async next() {
      const restart = new Promise<'restart'>((resolve) => {
        wake = () => resolve('restart');
        if (restarts > 0) wake();
      });
      const what = await Promise.race([ended.then((): 'end' => 'end'), restart]);
      // However many asked for it: one restart is what they want.
      restarts = 0;
      return what;
    },
  };
}
