/** What the drivers have in common at the control socket of their router: HTTP over a unix socket that only its user may open. */
import { chmodSync, mkdirSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { errnoOf, PaasError } from '../shared/errors.ts';

/** sun_path of unix(7) has 108 bytes on Linux and 104 elsewhere, with the final zero. */
const maxSocketPath = 103;

/**
 * Larger than the time a busy machine takes for a table of 10,000 routes and its fsync, and than a router waits for the
 * process before it to take the table up (embedded/handover.ts).
 */
const timeoutMs = 20_000;

/** Makes the router's directory (0700). @throws PaasError `unsupported` where its socket's path would be too long */
export function prepareDirectory(directory: string, socket: string): void {
  if (Buffer.byteLength(socket) > maxSocketPath) {
    throw new PaasError('unsupported', `The path of the router's control socket is too long: ${socket}`, {
      hint: `A unix socket's path may have ${maxSocketPath} bytes: use a data directory with a shorter path.`,
    });
  }
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if ((statSync(directory).mode & 0o077) !== 0) chmodSync(directory, 0o700);
}

/**
 * One call.
 * @param call method and path: `PUT /table`
 * @throws PaasError `unavailable` (nobody listens, or the router broke off), `timeout`
 */
export function callSocket(socketPath: string, call: string, body = ''): Promise<{ status: number; text: string }> {
  const [method = '', path = ''] = call.split(' ');
  return new Promise((resolve, reject) => {
    const failed = (cause: Error): void => {
      if (cause instanceof PaasError) reject(cause);
      else reject(unreachable(socketPath, errnoOf(cause) ?? cause.message, cause));
    };
    const headers = { host: 'router', 'content-length': Buffer.byteLength(body) };
    const outgoing = request({ socketPath, method, path, headers, agent: false, timeout: timeoutMs }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', failed);
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8') });
      });
    });
    outgoing.on('timeout', () => {
      const [what = path] = path.split('?');
      outgoing.destroy(
        new PaasError('timeout', `The router did not answer ${method} ${what} within ${timeoutMs / 1000} s.`),
      );
    });
    outgoing.on('error', failed);
    outgoing.end(body);
  });
}

/** @param cause absent where it is known without asking */
export function unreachable(socketPath: string, reason: string, cause?: Error): PaasError {
  return new PaasError('unavailable', `The router does not answer at ${socketPath} (${reason}).`, {
    hint: 'It is started again by itself; see `paas status`.',
    cause,
  });
}
