/**
 * A new router process in place of this one, without a moment in which nobody listens (SIGHUP):
 *
 *   old                                        new
 *    │ starts it, with a channel ───────────────►│ takes up the table on disk
 *    │◄──────────────────────────────────── here │ all that takes long, or is likely to fail, is behind it
 *    │ its listening sockets ───────────────────►│ listens on them too: clients come to either
 *    │◄───────────────────────────────── serving │
 *    │ no changes from here on; lock, `yours` ──►│ reads the table again, opens the control socket
 *    │ accepts no more; open requests ──────────►│ counts them in its status, so that instances drain
 *    │◄─────────────── every change of the table │ answers for it when the old one has it, too
 *    └ ends with the last of its connections
 *
 * Until `yours` the old one stays the router, whatever becomes of the new one. A client that came to the new one is lost with
 * it, which is why that gets its sockets late.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import type { Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod/mini';
import { PaasError } from '../../shared/errors.ts';
import { heirFails } from './layout.ts';
import { closeInherited, inherit, listeners } from './listening.ts';

const startMs = 20_000;
const tellMs = 50;
/**
 * One that has not taken a table up by then is told to end: as long as a busy machine may need, and less than the driver
 * waits (control-socket.ts).
 */
const reloadMs = 15_000;
/** What of its time a process gives the one before it, so as to answer in time itself. */
const passedOn = 2 / 3;
/** Of this process, to a router that starts: it gets its sockets from its parent. */
const flag = 'PAAS_ROUTER_HEIR';

const toHeir = z.discriminatedUnion('type', [
  /** With a server as handle. */
  z.object({ type: z.literal('listener'), name: z.string() }),
  z.object({ type: z.literal('start') }),
  z.object({ type: z.literal('yours') }),
  z.object({ type: z.literal('open'), open: z.record(z.string(), z.int()) }),
  z.object({ type: z.literal('reloaded') }),
]);
type ToHeir = z.infer<typeof toHeir>;

const fromHeir = z.object({
  type: z.enum(['here', 'serving', 'reload', 'stop']),
  /** Of `reload`: how long it is waited for. */
  withinMs: z.optional(z.int()),
});
type FromHeir = z.infer<typeof fromHeir>;

/** The process that takes over, as the one before it sees it. */
export interface Heir {
  pid: number;
  /** It could not be made the router after all. */
  dismiss(): void;
  /** All is handed over: it is the router now. */
  enthrone(): void;
  /** Says which requests are still open here, from time to time, until the signal aborts. */
  report(open: () => Record<string, number>, signal: AbortSignal): Promise<void>;
  /** Calls this when the table on disk has changed. @param reload is told how long the process before this one may take */
  onReload(reload: (withinMs: number) => Promise<void>): void;
  /** Aborts when the heir stops or is gone: nobody counts the requests that are open here any more. */
  readonly gone: AbortSignal;
}

/**
 * Starts a process that listens where this one listens.
 * @param argv its command line
 * @param ending aborts when this one is told to end: then nobody takes over
 * @throws PaasError `unavailable` or `timeout`: it does not serve, and is gone again
 */
export async function raiseHeir(argv: readonly string[], ending: AbortSignal): Promise<Heir> {
  const [file = '', ...args] = argv;
  const child = spawn(file, args, {
    ...{ detached: true, cwd: '/', env: { ...process.env, [flag]: '1' } },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const gone = new AbortController();
  child.once('disconnect', () => gone.abort());
  child.once('exit', () => gone.abort());
  try {
    await serving(child, ending);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  let reload = (_withinMs: number): Promise<void> => Promise.resolve();
  child.on('message', (message) => {
    const { type, withinMs = reloadMs } = fromHeir.safeParse(message).data ?? {};
    if (type === 'stop') gone.abort();
    if (type === 'reload') void reload(Math.floor(withinMs * passedOn)).then(() => tell(child, { type: 'reloaded' }));
  });
  child.unref();
  return {
    pid: child.pid!,
    gone: gone.signal,
    dismiss: () => void child.kill('SIGKILL'),
    enthrone: () => tell(child, { type: 'yours' }),
    onReload: (action) => void (reload = action),
    report: async (open, signal) => {
      while (!signal.aborted && !gone.signal.aborted) {
        tell(child, { type: 'open', open: open() });
        await sleep(tellMs, undefined, { signal }).catch(() => undefined);
      }
    },
  };
}

function serving(child: ChildProcess, ending: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (why: string, cause?: unknown): void => {
      clearTimeout(timer);
      reject(new PaasError('unavailable', `${heirFails}: ${why}.`, { cause }));
    };
    const timer = setTimeout(() => fail(`it did not begin within ${startMs / 1000} s`), startMs);
    child.once('error', (cause) => fail('it cannot be started', cause));
    const ended = (): void => fail('this one was told to end');
    if (ending.aborted) ended();
    else ending.addEventListener('abort', ended, { once: true });
    child.once('exit', (code, signal) => fail(`it ended with ${signal ?? String(code)}`));
    child.on('message', (message) => {
      const type = fromHeir.safeParse(message).data?.type;
      if (type === 'here') {
        for (const [name, server] of listeners()) child.send({ type: 'listener', name } satisfies ToHeir, server);
        tell(child, { type: 'start' });
      } else if (type === 'serving') {
        clearTimeout(timer);
        resolve();
      }
    });
  });
}

/** What cannot be told any more needs not be: the channel closes with its end. */
const tell = (child: ChildProcess, message: ToHeir): void => void child.send(message, () => undefined);

/** The router before this one, as its heir sees it. */
export interface Predecessor {
  /** Gets the sockets to listen on. From now on clients come to this process, too: it listens without delay. */
  takeSockets(): Promise<void>;
  /** Says that this process serves, and waits until it is the router: told so, or the only one that is left. */
  succeed(): Promise<void>;
  /** Requests that are still open there, by instance. */
  open(): Record<string, number>;
  /** Has it take up the table on disk, as far as it still serves; tells one to end that takes too long. */
  reload(withinMs?: number): Promise<void>;
  /** Lets it end soon. */
  stop(): void;
  /** Resolves when it is. */
  readonly gone: Promise<void>;
}

/** Null for a process that was started anew. */
export function findPredecessor(): Predecessor | null {
  if (process.env[flag] === undefined || !process.send) return null;
  let open: Record<string, number> = {};
  const given = pending();
  const mine = pending();
  const gone = pending();
  /** Answers come in the order of what was asked. */
  const reloading: Pending[] = [];
  /** It has not answered in time once: nobody waits for it again. */
  let slow = false;
  process.on('message', (message, handle) => {
    const told = toHeir.parse(message);
    if (told.type === 'listener' && handle) inherit(told.name, handle as Server);
    if (told.type === 'start') given.resolve();
    if (told.type === 'yours') mine.resolve();
    if (told.type === 'open') ({ open } = told);
    if (told.type === 'reloaded') reloading.shift()?.resolve();
  });
  process.once('disconnect', () => {
    open = {};
    for (const awaited of [given, mine, gone, ...reloading]) awaited.resolve();
  });
  const send = (message: FromHeir): void => {
    if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
  };
  return {
    open: () => open,
    stop: () => send({ type: 'stop' }),
    gone: gone.promise,
    takeSockets() {
      send({ type: 'here' });
      return given.promise;
    },
    async succeed() {
      closeInherited();
      send({ type: 'serving' });
      await mine.promise;
    },
    async reload(withinMs = reloadMs) {
      if (!process.connected) return;
      const reloaded = pending();
      reloading.push(reloaded);
      send({ type: 'reload', withinMs });
      if (slow) return;
      const late = setTimeout(() => {
        slow = true;
        send({ type: 'stop' });
        reloaded.resolve();
      }, withinMs);
      await reloaded.promise;
      clearTimeout(late);
    },
  };
}

interface Pending {
  promise: Promise<void>;
  resolve: () => void;
}

function pending(): Pending {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => (resolve = done));
  return { promise, resolve };
}
