import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { errnoOf, PaasError } from '../../shared/errors.ts';

/** Above the range that instances get, below the one that the kernel gives out to connections by itself. */
const range = { from: 30_000, to: 32_700 };

/** Whether a port can be listened on now. @throws PaasError not_allowed for one below 1024 without the right */
export function isPortFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error) => {
      if (errnoOf(error) === 'EADDRINUSE') resolve(false);
      else if (errnoOf(error) === 'EACCES') {
        reject(
          new PaasError('not_allowed', `Port ${port} may be used by root only.`, {
            hint: 'Choose one from 1024 up.',
            cause: error,
          }),
        );
      } else reject(error);
    });
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** A port that nobody listens on now. @throws PaasError no_capacity */
export async function choosePort(host: string, taken: readonly number[]): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = randomInt(range.from, range.to);
    if (!taken.includes(port) && (await isPortFree(host, port))) return port;
  }
  throw new PaasError('no_capacity', `No free port between ${range.from} and ${range.to} was found.`, {
    hint: 'Name one with the flag.',
  });
}
