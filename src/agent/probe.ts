/** Probes: one look at whether an instance works. When to look, and what follows from it, is the supervisor's. */
import http from 'node:http';
import net from 'node:net';
import type { Health } from '../shared/contracts/app-spec.ts';
import { listListeners, listenersOf, type Listener } from './listeners.ts';

export type ProbeResult =
  | { ok: true }
  /** `foreign`: the port is another process's, so the instance needs another one. */
  | { ok: false; reason: string; foreign?: boolean };

/** How long one look may take, ms. */
const attemptMs = 5000;

/** Looks once: http (2xx or 3xx at the path) or a TCP connection. Health type `process` has nothing to look at. */
export async function probe(
  health: Pick<Health, 'type' | 'path'>,
  address: string,
  port: number,
  signal: AbortSignal,
): Promise<ProbeResult> {
  if (health.type === 'process') return { ok: true };
  const asked =
    health.type === 'port' ? connect(address, port, signal) : get(address, port, health.path ?? '/', signal);
  const failure = await asked.catch((error: unknown) => describe(error as Error, port));
  return failure === null ? { ok: true } : { ok: false, reason: failure };
}

/**
 * Whether the listener on a port belongs to the instance, and if there is none, where the instance listens instead.
 * @param pids the instance's processes
 * @returns null when all is well or cannot be told
 */
export function explainPort(pids: readonly number[], address: string, port: number): ProbeResult | null {
  const all = listListeners();
  if (all === null) return null;
  // On a busy machine it may take a while to begin: who answers before that is another process.
  if (pids.length === 0) return { ok: false, reason: `nothing listens on PORT (${port})` };
  const own = listenersOf(pids, all);
  if (own === null) return null;
  const there = own.filter((one) => one.port === port);
  if (there.some((one) => reaches(one, address))) return null;
  const reason = whereInstead(there, own, port);
  if (reason !== null) return { ok: false, reason };
  if (all.some((one) => one.port === port && reaches(one, address))) {
    return { ok: false, reason: `port ${port} is taken by another process`, foreign: true };
  }
  return { ok: false, reason: `nothing listens on PORT (${port})` };
}

function whereInstead(there: Listener[], own: Listener[], port: number): string | null {
  if (there[0]) return `listens on ${there[0].address}:${port} only; bind 0.0.0.0`;
  if (!own[0]) return null;
  const ports = [...new Set(own.map((one) => one.port))].join(', ');
  return `listens on port ${ports}, but PORT is ${port}`;
}

function reaches(listener: Listener, address: string): boolean {
  return listener.address === '0.0.0.0' || listener.address === '::' || listener.address === address;
}

/**
 * Asks once; the first verdict counts. The listener is its own and goes with it: what Node adds for the option `signal` of
 * a socket stays after the socket, and the signal lives as long as the run.
 */
function attempt(
  port: number,
  signal: AbortSignal,
  open: (done: (failure: string | null) => void) => net.Socket | http.ClientRequest,
): Promise<string | null> {
  return new Promise((resolve) => {
    const abort = (): void => done('the probe was given up');
    const done = (failure: string | null): void => {
      signal.removeEventListener('abort', abort);
      resolve(failure);
      asked.destroy();
    };
    const asked = open(done);
    asked.on('error', (error) => done(describe(error, port)));
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
  });
}

function connect(address: string, port: number, signal: AbortSignal): Promise<string | null> {
  return attempt(port, signal, (done) => {
    const socket = net.connect({ host: address, port, timeout: attemptMs });
    socket.on('connect', () => done(null));
    socket.on('timeout', () => done(`no answer on port ${port} within ${attemptMs / 1000} s`));
    return socket;
  });
}

function get(address: string, port: number, path: string, signal: AbortSignal): Promise<string | null> {
  return attempt(port, signal, (done) => {
    const headers = { host: 'localhost', 'user-agent': 'paas-probe', connection: 'close' };
    const request = http.get({ host: address, port, path: escaped(path), headers, agent: false }, (response) => {
      const status = response.statusCode ?? 0;
      done(status >= 200 && status < 400 ? null : `GET ${path} answers ${status}`);
    });
    const timer = setTimeout(() => done(`GET ${path}: no answer within ${attemptMs / 1000} s`), attemptMs);
    return request.once('close', () => clearTimeout(timer));
  });
}

/** As it may stand in a request (RFC 3986, 2.1); what is escaped already stays. Throws for half a surrogate pair. */
function escaped(path: string): string {
  return path.replace(/[^\x21-\x7e]/gu, encodeURIComponent);
}

function describe(error: NodeJS.ErrnoException, port: number): string {
  return error.code === 'ECONNREFUSED' ? `nothing listens on PORT (${port})` : error.message;
}
