/** Listening sockets: new ones, or those that the router process before this one has handed over. */
import type { Server } from 'node:net';

/** By address and port. */
const present = new Map<string, Server>();
const inherited = new Map<string, Server>();

const nameOf = (address: string, port: number): string => `${address} ${port}`;

/**
 * Listens, as a promise. A socket that was inherited for the place is used as it is: its queue of clients goes on.
 * @throws the system's error (EADDRINUSE, EACCES, …)
 */
export function listening(server: Server, address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const ready = (): void => {
      server.off('error', reject);
      const bound = server.address();
      const name = nameOf(address, bound !== null && typeof bound === 'object' ? bound.port : port);
      present.set(name, server);
      server.once('close', () => {
        if (present.get(name) === server) present.delete(name);
      });
      resolve();
    };
    const name = nameOf(address, port);
    const given = inherited.get(name);
    inherited.delete(name);
    if (given) server.listen(given, ready);
    else server.listen({ host: address, port }, ready);
  });
}

/** What listens now, by a name under which another process may `inherit` it. */
export const listeners = (): ReadonlyMap<string, Server> => present;

/** For the next `listening` at the same place. */
export function inherit(name: string, server: Server): void {
  inherited.set(name, server);
}

/** Lets go of sockets that nothing has listened with. */
export function closeInherited(): void {
  for (const server of inherited.values()) server.close();
  inherited.clear();
}
