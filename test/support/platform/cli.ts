/** The CLI as users and scripts run it: a process, its exit code, what it printed. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The installation under test: this repository (built), or an unpacked one. */
export const installation =
  process.env['PAAS_TEST_INSTALLATION'] ?? fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '');

export interface CliOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** For standard input; without it, standard input is empty. */
  input?: string;
  timeoutMs?: number;
}

export class CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly command: string;

  constructor(command: string, code: number, stdout: string, stderr: string) {
    this.command = command;
    this.code = code;
    this.stdout = stdout;
    this.stderr = stderr;
  }

  /** The JSON document on standard output. */
  json(): unknown {
    try {
      return JSON.parse(this.stdout);
    } catch (cause) {
      throw new Error(`not JSON: ${this.toString()}`, { cause });
    }
  }

  /** Its JSON lines. */
  jsonLines<T = Record<string, unknown>>(): T[] {
    return this.stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as T);
  }

  /** `{error: …}` of --json. */
  get error(): { code: string; message: string; hint: string; details: Record<string, unknown> } {
    return (this.json() as { error: CliResult['error'] }).error;
  }

  toString(): string {
    return `${this.command}\nexit ${this.code}\nstdout: ${this.stdout}\nstderr: ${this.stderr}`;
  }
}

/** A CLI process that goes on (`logs -t`, a push that is to be interrupted). */
export class RunningCli {
  readonly #child: ChildProcess;
  readonly #command: string;
  readonly exited: Promise<CliResult>;
  stdout = '';
  stderr = '';

  constructor(child: ChildProcess, command: string) {
    this.#child = child;
    this.#command = command;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.exited = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve(this.#result(code ?? (signal === null ? -1 : -2))));
    });
    // Whoever waits sees it; a test that failed before does not wait.
    this.exited.catch(() => undefined);
  }

  get lines(): string[] {
    return this.stdout.split('\n').slice(0, -1);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** Ends it the way a user does. */
  async interrupt(): Promise<CliResult> {
    this.signal('SIGINT');
    return this.exited;
  }

  #result(code: number): CliResult {
    return new CliResult(this.#command, code, this.stdout, this.stderr);
  }
}

/** The environment of a user who has none of the platform's variables set; extra certificates only for builds. */
export function userEnvironment(): NodeJS.ProcessEnv {
  const hidden = /^(PAAS_|VITEST|NODE_OPTIONS$|NODE_EXTRA_CA_CERTS$|NODE_ENV$|NO_COLOR$|FORCE_COLOR$|CI$)/;
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !hidden.test(name)));
  const certificates = process.env['NODE_EXTRA_CA_CERTS'];
  return certificates === undefined ? env : { ...env, PAAS_HOST_EXTRA_CA_CERTS: certificates };
}

export function startCli(args: readonly string[], options: CliOptions & { keepInput?: boolean }): RunningCli {
  const script = join(installation, 'bin', 'paas.js');
  if (!existsSync(join(installation, 'dist', 'cli', 'main.js'))) {
    throw new Error(`${installation} is not built: run \`npm run build\` first`);
  }
  const { cwd = '/', env = {}, input, keepInput = false } = options;
  const stdin = input === undefined && !keepInput ? 'ignore' : 'pipe';
  const child = spawn(process.execPath, [script, ...args], {
    cwd,
    env: { ...userEnvironment(), ...env },
    stdio: [stdin, 'pipe', 'pipe'],
  });
  if (input !== undefined) child.stdin?.end(input);
  // It may end without having read everything.
  child.stdin?.on('error', () => undefined);
  return new RunningCli(child, `paas ${args.join(' ')}`);
}

export async function runCli(args: readonly string[], options: CliOptions): Promise<CliResult> {
  const running = startCli(args, options);
  const { timeoutMs = 90_000 } = options;
  const late = AbortSignal.timeout(timeoutMs);
  late.addEventListener('abort', () => running.signal('SIGKILL'));
  const result = await running.exited;
  if (late.aborted) throw new Error(`no end within ${timeoutMs} ms: ${result.toString()}`);
  return result;
}
