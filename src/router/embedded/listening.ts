import type { Server } from 'node:net';

/** Listens, as a promise. @throws the system's error (EADDRINUSE, EACCES, …) */
export function listening(server: Server, address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
