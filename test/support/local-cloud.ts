/** The embedded cloud as the program that it is, built once a test file, with the fake agent on its hosts. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { vi } from 'vitest';
import type { CloudDeps, CloudDriver } from '../../src/clouds/port.ts';
import { openCloud } from '../../src/clouds/registry.ts';
import { ensureCredentials, localCloudEndpoint, shutDownLocalCloud } from '../../src/localcloud/client.ts';
import { killHost } from '../../src/localcloud/host-processes.ts';
import { localImage, localIsp, localZone } from '../../src/localcloud/routes.ts';
import type { CloudRecord } from '../../src/localcloud/state.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
export const fakeAgent = join(root, 'test/fixtures/fake-agent.mjs');

export const waitFor = <T>(check: () => T | Promise<T>, timeout = 20_000) =>
  vi.waitFor(check, { timeout, interval: 20 });

/** Builds the program into a directory of its own; `path` is what to run with node. */
export async function buildCloud(): Promise<{ path: string; remove(): void }> {
  const directory = mkdtempSync(join(tmpdir(), 'paas-cloud-build-'));
  mkdirSync(join(directory, 'bin'));
  copyFileSync(join(root, 'bin/paas-cloud.js'), join(directory, 'bin/paas-cloud.mjs'));
  await build({
    absWorkingDir: root,
    entryPoints: ['src/localcloud/main.ts'],
    outfile: join(directory, 'dist/cloud.js'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'error',
  });
  copyFileSync(join(root, 'package.json'), join(directory, 'package.json'));
  return { path: join(directory, 'bin/paas-cloud.mjs'), remove: () => rmSync(directory, { recursive: true }) };
}

export class LocalCloud {
  readonly data = mkdtempSync(join(tmpdir(), 'paas-cloud-'));
  readonly apiKey: string;
  readonly #program: string;
  readonly #flags: string[];
  readonly #env: NodeJS.ProcessEnv;
  #child: ChildProcess | undefined;
  /** Resolves when it has ended and all that it said is read. */
  #closed: Promise<unknown> = Promise.resolve();

  constructor(program: string, flags: string[] = [], env: NodeJS.ProcessEnv = {}) {
    this.#program = program;
    this.#flags = flags;
    this.#env = env;
    this.apiKey = ensureCredentials(this.data).apiKey;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get url(): string {
    const endpoint = localCloudEndpoint(this.data);
    if (!endpoint) throw new Error('the cloud does not listen yet');
    return endpoint.url;
  }

  get state(): CloudRecord {
    return JSON.parse(readFileSync(join(this.data, 'state.json'), 'utf8')) as CloudRecord;
  }

  /** @param flags of this start, besides those of every one */
  async start(flags: string[] = []): Promise<void> {
    const args = [this.#program, '--data', this.data, '--agent', fakeAgent, ...this.#flags, ...flags];
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...this.#env },
    });
    let complaint = '';
    child.stderr.on('data', (text: Buffer) => (complaint += text.toString()));
    this.#child = child;
    this.#closed = new Promise((resolve) => child.once('close', resolve));
    await waitFor(() => {
      if (child.exitCode !== null) return;
      return this.url;
    });
    if (child.exitCode === null) return;
    await this.#closed;
    throw new Error(complaint);
  }

  /** Ends the program, and waits for its end. */
  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }

  /** Powers all hosts off; resolves when the program has ended, too. */
  async shutDown(): Promise<void> {
    await shutDownLocalCloud(this.data);
    await this.#closed;
  }

  driver(deps: Partial<CloudDeps> = {}, config: Record<string, unknown> = {}): CloudDriver {
    return openCloud(
      'speedycloud',
      { endpoint: this.url, apiKey: this.apiKey, zone: localZone, image: localImage, isp: localIsp, ...config },
      { platform: 'test', ...deps },
    );
  }

  hostDirectory(id: string): string {
    const host = this.state.hosts.find((candidate) => String(candidate.id) === id);
    if (!host) throw new Error(`no host ${id}`);
    return join(this.data, 'hosts', host.name);
  }

  /** The pid that an instance of the fake agent wrote down. */
  pidOf(id: string, instance: string): number {
    return Number(this.read(id, `instances/${instance}/pid`));
  }

  /** A file of the fake agent's data. */
  read(id: string, file: string): string {
    return readFileSync(join(this.hostDirectory(id), 'data', file), 'utf8');
  }

  /** Pids of all agents that were started on a host. */
  agentStarts(id: string): number[] {
    return this.read(id, 'starts').trim().split('\n').map(Number);
  }

  /** Kills everything and removes the data. */
  async remove(): Promise<void> {
    await this.end('SIGKILL');
    if (existsSync(join(this.data, 'state.json'))) {
      for (const host of this.state.hosts) {
        await killHost({ mark: host.mark, agent: host.agent, directory: join(this.data, 'hosts', host.name) });
      }
    }
    rmSync(this.data, { recursive: true, force: true });
  }
}

export function runs(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
