/** Programs that outlive the agent: the router. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { bareEnvironment } from '../runtimes/environment.ts';

/**
 * Starts a program in a session of its own, with no input, its output appended to `logFile` (0600).
 * @returns its pid; it may be dead already
 */
export async function spawnDetached(
  argv: readonly string[],
  options: { logFile: string; env: Readonly<Record<string, string>> },
): Promise<number> {
  const log = openSync(options.logFile, 'a', 0o600);
  try {
    const [file = '', ...args] = argv;
    const env = { ...bareEnvironment, ...options.env };
    const child = spawn(file, args, { detached: true, cwd: '/', env, stdio: ['ignore', log, log] });
    await once(child, 'spawn');
    child.unref();
    return child.pid!;
  } finally {
    closeSync(log);
  }
}
