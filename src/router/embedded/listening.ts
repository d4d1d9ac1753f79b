/** Listening sockets: new ones, or those that the router process before this one has handed over. */
import type { Server, Socket } from 'node:net';
import { unexpected } from './unexpected.ts';

/** By address and port. */
const present = new Map<string, Server>();
/** What comes in through a socket that was handed over waits until somebody listens with it. */
const inherited = new Map<string, { server: Server; waiting: Socket[] }>();

const sources = new WeakMap<Server, Server>();

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
      keepOn(server, nameOf(address, port));
      const bound = server.address();
      const name = nameOf(address, bound !== null && typeof bound === 'object' ? bound.port : port);
      present.set(name, server);
      server.once('close', () => {
        if (present.get(name) === server) present.delete(name);
      });
      resolve();
      if (!given) return;
      // Connections that it took count as its own, which ends only after them.
      sources.set(server, given.server);
      for (const socket of given.waiting) handOn(socket, server);
    };
    const name = nameOf(address, port);
    const given = inherited.get(name);
    inherited.delete(name);
    if (given) server.listen(given.server, ready);
    else server.listen({ host: address, port }, ready);
  });
}

/** Stops accepting; resolves when all connections that came in here have ended. */
export async function closing(server: Server): Promise<void> {
  const source = sources.get(server);
  const both = source ? [server, source] : [server];
  await Promise.all(both.map((one) => new Promise((resolve) => one.close(resolve))));
}

/**
 * What listens now, by a name under which another process may `inherit` it. A socket that is closed is none of them, although
 * its server ends only with the last of its connections.
 */
export function listeners(): ReadonlyMap<string, Server> {
  return new Map([...present].filter(([, server]) => server.listening));
}

/** The system may refuse single connections (ENFILE, ENOBUFS): the next ones may do better. */
export function keepOn(server: Server, name: string): void {
  server.on('error', (error) => unexpected(`listening on ${name}`, error));
}

/** For the next `listening` at the same place. */
export function inherit(name: string, server: Server): void {
  const waiting: Socket[] = [];
  keepOn(server, name);
  server.on('connection', (socket) => {
    // Who resets it meanwhile must not end this process.
    socket.on('error', () => undefined);
    waiting.push(socket);
  });
  inherited.set(name, { server, waiting });
}

/** As if the server had accepted it itself, with the options that all servers of the router have. */
function handOn(socket: Socket, server: Server): void {
  if (socket.destroyed) return;
  socket.allowHalfOpen = true;
  socket.setNoDelay(true);
  socket.setKeepAlive(true, 30_000);
  server.emit('connection', socket);
}

/** Lets go of sockets that nothing has listened with. */
export function closeInherited(): void {
  for (const { server, waiting } of inherited.values()) {
    server.close();
    for (const socket of waiting) socket.destroy();
  }
  inherited.clear();
}
