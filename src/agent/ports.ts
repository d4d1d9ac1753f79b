/** Ports for instances: unique on the machine as far as can be seen, below the range the kernel gives out itself. */
import { randomInt } from 'node:crypto';
import net from 'node:net';
import { errnoOf, PaasError } from '../shared/errors.ts';

export interface PortRange {
  from: number;
  to: number;
}

export const defaultPortRange: PortRange = { from: 10_000, to: 29_999 };

/** Whether nobody listens on a port, on any address of this machine. */
export async function isPortFree(port: number): Promise<boolean> {
  return (await canBind(port, '0.0.0.0')) && (await canBind(port, '::'));
}

/**
 * A free port. It is not held: who takes it later finds out that another was faster, and asks again.
 * @param taken ports promised to others already
 * @throws no_capacity when the whole range is taken
 */
export async function choosePort(range: PortRange, taken: ReadonlySet<number>): Promise<number> {
  const count = range.to - range.from + 1;
  // A random start, since several agents on one machine choose from the same range.
  const start = randomInt(count);
  for (let i = 0; i < count; i++) {
    const port = range.from + ((start + i) % count);
    if (!taken.has(port) && (await isPortFree(port))) return port;
  }
  throw new PaasError('no_capacity', `no free port between ${range.from} and ${range.to} on this host`);
}

function canBind(port: number, host: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', (error) => {
      const code = errnoOf(error);
      if (code === 'EADDRINUSE' || code === 'EACCES') resolve(false);
      else if (code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL')
        resolve(true); // no IPv6 here
      else reject(error);
    });
    server.listen({ port, host, exclusive: true, ipv6Only: host === '::' }, () => server.close(() => resolve(true)));
  });
}
