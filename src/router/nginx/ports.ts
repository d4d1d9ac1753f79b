/** Listening ports, looked at before nginx is told of them: nginx takes a configuration whole or not at all. */
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf, type PaasError } from '../../shared/errors.ts';
import { listenError } from '../addresses.ts';
import { portsOf } from './sockets.ts';

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

/** Waits until processes listen nowhere any more. @returns whether that came true in time */
export async function untilClosed(pids: readonly number[], timeoutMs = closeMs): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (portsOf(pids).size > 0) {
    if (Date.now() >= deadline) return false;
    await sleep(5);
  }
  return true;
}
