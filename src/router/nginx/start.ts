/** What is around the start of nginx: its directory, and why it did not. */
import { mkdirSync, readFileSync } from 'node:fs';
import { errnoOf, PaasError } from '../../shared/errors.ts';
import { prepareDirectory } from '../control-socket.ts';
import type { NginxFiles } from './layout.ts';

/** Makes what nginx writes into. @throws PaasError as `prepareDirectory` */
export function prepareFiles(directory: string, { socket, temporary, accessLogs, tls }: NginxFiles): void {
  prepareDirectory(directory, socket);
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
