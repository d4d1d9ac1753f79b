/** The app's environment on its way into a process: as shell text behind a file descriptor, never in argv. */
import { closeSync, fchmodSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PaasError } from '../../shared/errors.ts';

/** What programs with the agent's rights get: nothing of the agent's own environment, which holds secrets. */
export const bareEnvironment = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };

/**
 * Shell text that exports the variables. `command export` because a plain export of a name that some shells hold
 * read-only (UID in bash) would end the shell.
 * @throws manifest_invalid for a name that no shell can export, and for a NUL in a value
 */
export function environmentText(env: Readonly<Record<string, string>>): string {
  let text = '';
  for (const [name, value] of Object.entries(env)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      throw new PaasError('manifest_invalid', `environment variable ${JSON.stringify(name)}: not a valid name`);
    }
    if (value.includes('\0')) {
      throw new PaasError('manifest_invalid', `environment variable ${name}: the value contains a NUL character`);
    }
    text += `command export ${name}='${value.replaceAll("'", `'\\''`)}'\n`;
  }
  return text;
}

/** An open file descriptor from which the environment can be read once; its file has no name any more. */
export function openEnvironment(env: Readonly<Record<string, string>>): number {
  const text = Buffer.from(environmentText(env));
  const directory = mkdtempSync(path.join(tmpdir(), 'paas-env-'));
  try {
    const file = path.join(directory, 'env');
    const writer = openSync(file, 'wx', 0o600);
    try {
      fchmodSync(writer, 0o600);
      for (let done = 0; done < text.length;) done += writeSync(writer, text, done);
      return openSync(file, 'r');
    } finally {
      closeSync(writer);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
}
