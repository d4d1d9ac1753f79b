/** Starting commands of a runtime in the foreground: checks, `paas run`, `paas exec`. */
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { closeSync } from 'node:fs';
import { openEnvironment, bareEnvironment } from './environment.ts';
import type { Check, RuntimeCommand } from './port.ts';

/**
 * Starts a command of a runtime. Its environment goes through descriptor 3, which nothing else may use.
 * @param stdio standard input, output and error, as for `child_process.spawn`
 * @param prefix argv put before the command, for a wrapper that gives it a terminal (it must pass descriptor 3 on)
 */
export function spawnCommand(
  command: RuntimeCommand,
  options: { stdio: [StdioOption, StdioOption, StdioOption]; prefix?: readonly string[]; detached?: boolean },
): ChildProcess {
  const fd = openEnvironment(command.env);
  try {
    const [file = '', ...args] = [...(options.prefix ?? []), ...command.argv];
    const stdio: StdioOptions = [...options.stdio, fd];
    return spawn(file, args, { stdio, env: bareEnvironment, cwd: '/', detached: options.detached ?? true });
  } finally {
    closeSync(fd);
  }
}

export type StdioOption = 'ignore' | 'pipe' | number;

/** How long a trial of a runtime may take. */
const trialMs = 10_000;

/** Runs a command only to see whether it succeeds. */
export function tryCommand(argv: readonly string[]): Promise<Check> {
  return new Promise((resolve) => {
    const [file = '', ...args] = argv;
    const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'], env: bareEnvironment, cwd: '/' });
    let said = '';
    const timer = setTimeout(() => {
      said = `no answer within ${trialMs / 1000} s`;
      child.kill('SIGKILL');
    }, trialMs);
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (said.length < 1000) said += text;
    });
    const done = (check: Check): void => {
      clearTimeout(timer);
      resolve(check);
    };
    child.on('error', (error) => done({ ok: false, reason: error.message }));
    child.on('close', (code) =>
      done(code === 0 ? { ok: true } : { ok: false, reason: said.trim() || `${file} ended with ${String(code)}` }),
    );
  });
}
