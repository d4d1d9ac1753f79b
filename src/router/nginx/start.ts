/** What is around the start of nginx: its directory, and why it did not. */
import { chmodSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { errnoOf, PaasError } from '../../shared/errors.ts';
import { maxSocketPath, type NginxFiles } from './layout.ts';

/** @throws PaasError `unsupported` for a path that a socket cannot have */
export function prepareDirectory(directory: string, { socket, temporary, accessLogs, tls }: NginxFiles): void {
  if (Buffer.byteLength(socket) > maxSocketPath) {
    throw new PaasError('unsupported', `The path of the router's control socket is too long: ${socket}`, {
      hint: `A unix socket's path may have ${maxSocketPath} bytes: use a data directory with a shorter path.`,
    });
  }
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if ((statSync(directory).mode & 0o077) !== 0) chmodSync(directory, 0o700);
  for (const path of [temporary, accessLogs, tls]) mkdirSync(path, { recursive: true, mode: 0o700 });
}

/** Why nginx ended at once, in its own words. */
export function startFailure({ output, errors }: NginxFiles): PaasError {
  const said = [output, errors].map(tail).join('\n');
  const [, reason = 'it gave no reason'] = /\[emerg\] (?:\d+#\d+: )?([^\n]*)/.exec(said) ?? [];
  return new PaasError('unavailable', `nginx does not start: ${reason}.`, { hint: `See ${output}.` });
}

function tail(path: string): string {
  try {
    return readFileSync(path, 'utf8').slice(-4096);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return '';
    throw error;
  }
}
