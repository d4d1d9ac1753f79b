/** Programs of the router: itself, which outlives the agent, and what checks its configuration. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
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

/** More than this of what a program says is not kept. */
const maxOutput = 64 * 1024;

/**
 * Runs a program to its end, with no input; it is killed when it takes longer than `timeoutMs`.
 * @returns its exit code (128 + signal number for a signal) and what it said on both streams
 * @throws the system's error when it cannot be started
 */
export async function runProgram(
  argv: readonly string[],
  { timeoutMs }: { timeoutMs: number },
): Promise<{ code: number; output: string }> {
  const [file = '', ...args] = argv;
  const env = { ...bareEnvironment };
  const child = spawn(file, args, {
    cwd: '/',
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  let output = '';
  const keep = (bytes: Buffer): void => {
    if (output.length < maxOutput) output += bytes.toString('utf8');
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { code: code ?? 128 + (signal ? constants.signals[signal] : 0), output };
}
