/** The agent as a process, for tests that kill it: the bundle in a directory of its own, with nothing else. */
import { spawn, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
  openSync,
  closeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { AgentUserData } from '../../src/shared/contracts/agent.ts';
import type { InstanceSpec } from '../../src/shared/contracts/instances.ts';
import { listProcesses, sendSignal } from '../../src/shared/processes.ts';
import { bundle } from './bundle.ts';
import type { FakeControl } from './fake-control.ts';

export class AgentProcess {
  readonly root: string;
  readonly data: string;
  readonly program: string;
  env: NodeJS.ProcessEnv = {};
  flags: string[] = [];
  #user: { uid?: number; gid?: number } = {};
  #child: ChildProcess | undefined;

  private constructor(root: string) {
    this.root = root;
    this.data = join(root, 'data');
    this.program = join(root, 'bin', 'agent.mjs');
  }

  /** A host with an agent that is not started yet. */
  static async create(userData: Partial<AgentUserData> & { controlUrl: string }): Promise<AgentProcess> {
    // Apps run as other users, and must be able to reach their directories.
    const root = mkdtempSync(join(tmpdir(), 'paas-agent-'));
    chmodSync(root, 0o711);
    const agent = new AgentProcess(root);
    mkdirSync(join(root, 'bin'));
    copyFileSync(await bundle('src/agent/main.ts', 'agent.js'), agent.program);
    const whole: AgentUserData = {
      hostId: 'hst_1',
      name: 'h1',
      token: 'token-1',
      roles: ['compute', 'build'],
      ...userData,
    };
    writeFileSync(join(root, 'user-data'), JSON.stringify(whole), { mode: 0o600 });
    return agent;
  }

  /** From its next start on it is not root, where the test is. Its host's files become its own. */
  asNobody(): void {
    if (process.getuid?.() !== 0) return;
    this.#user = { uid: 65_534, gid: 65_534 };
    for (const name of ['', 'bin', 'bin/agent.mjs', 'user-data']) chownSync(join(this.root, name), 65_534, 65_534);
  }

  get pid(): number {
    return this.#child!.pid!;
  }
  /** Its log so far. */
  get log(): string {
    return readFileSync(join(this.root, 'agent.log'), 'utf8');
  }

  start(): void {
    const log = openSync(join(this.root, 'agent.log'), 'a', 0o600);
    const args = [
      '--data',
      this.data,
      '--user-data',
      join(this.root, 'user-data'),
      '--address',
      '127.0.0.1',
      ...this.flags,
    ];
    const env = { PATH: process.env['PATH'], ...this.env };
    this.#child = spawn(process.execPath, [this.program, ...args], {
      stdio: ['ignore', log, log],
      env,
      cwd: this.root,
      ...this.#user,
    });
    closeSync(log);
  }

  /** Resolves to its exit code or signal. */
  async end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null)
      return child?.exitCode ?? child?.signalCode ?? null;
    const ended = new Promise<number | NodeJS.Signals | null>((resolve) =>
      child.once('exit', (code, name) => resolve(code ?? name)),
    );
    child.kill(signal);
    return ended;
  }
  async exited(): Promise<number | NodeJS.Signals | null> {
    await expect.poll(() => this.#child!.exitCode ?? this.#child!.signalCode, { timeout: 20_000 }).not.toBeNull();
    return this.#child!.exitCode ?? this.#child!.signalCode;
  }

  /** Ends the agent and everything that it started, and removes the host's directory; before that what `ended` removes. */
  async destroy(ended?: () => void): Promise<void> {
    await this.end('SIGKILL');
    const left = () =>
      listProcesses().filter(({ pid }) => {
        try {
          const text = readFileSync(`/proc/${pid}/cmdline`, 'latin1') + readFileSync(`/proc/${pid}/environ`, 'latin1');
          return pid !== process.pid && text.includes(this.root);
        } catch {
          return false; // It ended meanwhile.
        }
      });
    const kill = () => {
      const found = left();
      for (const { pid } of found) sendSignal(pid, 'SIGKILL');
      return found.length;
    };
    await expect.poll(kill, { timeout: 30_000, interval: 10 }).toBe(0);
    ended?.();
    rmSync(this.root, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Prints `line 1`, `line 2`, … fifty times a second. */
const ticker = 'i=0; while :; do i=$((i+1)); echo "line $i"; sleep 0.02; done';
/** An instance without a port; its tree is stored at `control`. */
export const workerSpec = (control: FakeControl, id: string, more: Partial<InstanceSpec> = {}): InstanceSpec => ({
  id,
  name: 'worker.1',
  app: { id: 'app_1', name: 'shop', project: 'default', environment: 'dev' },
  release: 1,
  processType: 'worker',
  kind: 'worker',
  image: {
    tree: control.trees.addTree({ 'hello.txt': 'hello from the tree' }),
    base: { name: 'host', digest: '0'.repeat(64) },
  },
  command: ticker,
  env: { GREETING: 'hi', SECRET_KEY: 'hush-hush' },
  memoryMb: 256,
  health: { type: 'process', timeoutMs: 10_000, intervalMs: 10_000 },
  graceMs: 1000,
  restart: 'always',
  runtime: 'process',
  restartToken: '',
  ...more,
});
