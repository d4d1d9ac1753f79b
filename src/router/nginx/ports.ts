/** Listening ports, looked at before nginx is told of them: nginx takes a configuration whole or not at all. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf, type PaasError } from '../../shared/errors.ts';
import { listenError } from '../addresses.ts';

/** Binds a port for a moment. @returns the port, and the system's error code where it cannot be had */
export function tryPort(address: string, port: number): Promise<{ port: number; problem: string | null }> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve({ port, problem: errnoOf(error) ?? error.message }));
    server.listen({ host: address, port, exclusive: true }, () => {
      const bound = server.address();
      const found = typeof bound === 'object' && bound ? bound.port : port;
      server.close(() => resolve({ port: found, problem: null }));
    });
  });
}

/**
 * A port to listen on: the wanted one; for 0 the last one where it is still free, else any.
 * @throws PaasError `conflict` (in use), `not_allowed` (needs a right), `unavailable`
 */
export async function choosePort(address: string, wanted: number, last: number | undefined): Promise<number> {
  if (wanted === 0 && last !== undefined) {
    const again = await tryPort(address, last);
    if (again.problem === null) return again.port;
  }
  const { port, problem } = await tryPort(address, wanted);
  if (problem === null) return port;
  throw listenError(problem, address, wanted);
}

/** For RouterStatus: why there is no TLS. */
export const portProblem = (error: PaasError, port: number): string => `TLS port ${port}: ${error.message}`;

const closeMs = 2_000;

/** Waits until nobody listens on the ports; no longer than 2 s, since another program may have taken one. */
export async function untilClosed(ports: readonly number[]): Promise<void> {
  if (ports.length === 0) return;
  const wanted = new Set(ports);
  const deadline = Date.now() + closeMs;
  while (Date.now() < deadline && listeningPorts().some((port) => wanted.has(port))) await sleep(5);
}

/** proc(5), /proc/net/tcp: state 0A is LISTEN. */
function listeningPorts(): number[] {
  return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((path) => {
    let text = '';
    try {
      text = readFileSync(path, 'latin1');
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
    return [...text.matchAll(/:([0-9A-F]{4}) [0-9A-F]+:0000 0A /g)].map(([, port = '']) => Number.parseInt(port, 16));
  });
}
