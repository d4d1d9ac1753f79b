/** Starting real instances in tests: directories that app users may enter, trees out of memory, a supervisor on top. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect } from 'vitest';
import { createHash } from 'node:crypto';
import type { InstanceSpec, InstanceStatus } from '../../src/shared/contracts/instances.ts';
import { listProcesses } from '../../src/shared/processes.ts';
import type { Clock } from '../../src/agent/clock.ts';
import type { RuntimeKind } from '../../src/agent/runtimes/port.ts';
import { drivers, findRuntimes } from '../../src/agent/runtimes/registry.ts';
import type { LogSink } from '../../src/agent/supervisor/context.ts';
import { createSupervisor, type Supervisor } from '../../src/agent/supervisor/index.ts';

export const address = '127.0.0.1';

/** A temporary directory that other users may search. */
export function openTemporary(): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'paas-test-'));
  chmodSync(directory, 0o711);
  return directory;
}

const noLog = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** Trees out of memory: digest → files. */
export class MemoryTrees {
  readonly #trees = new Map<string, Record<string, string>>();
  materialised = 0;

  add(files: Record<string, string>): string {
    const digest = createHash('sha256').update(JSON.stringify(files)).digest('hex');
    this.#trees.set(digest, files);
    return digest;
  }

  materialise(digest: string, dest: string, owner?: { uid: number; gid: number }): Promise<void> {
    this.materialised++;
    mkdirSync(dest);
    for (const [name, text] of Object.entries(this.#trees.get(digest) ?? {})) {
      writeFileSync(path.join(dest, name), text, { mode: 0o755 });
      if (owner) chownSync(path.join(dest, name), owner.uid, owner.gid);
    }
    return Promise.resolve();
  }
}

export interface TestHost {
  directory: string;
  trees: MemoryTrees;
  supervisor: Supervisor;
  status(id: string): InstanceStatus;
  until(id: string, expected: Partial<InstanceStatus>): Promise<InstanceStatus>;
  output(id: string, stream?: 'stdout' | 'stderr'): string;
  /** Another supervisor on the same directory, as after an agent's restart. */
  reopen(): Promise<void>;
  /** Stops everything and removes the directory. */
  close(): Promise<void>;
}

export async function openHost(options: { kind?: RuntimeKind; clock?: Clock; logs?: LogSink } = {}): Promise<TestHost> {
  const directory = openTemporary();
  const instances = path.join(directory, 'instances');
  const trees = new MemoryTrees();
  const runtimes = await findRuntimes(drivers.filter((driver) => driver.kind === (options.kind ?? 'process')));
  const logs = options.logs ?? { add: () => undefined, end: () => undefined, remove: () => undefined };
  const open = (): Supervisor =>
    createSupervisor({
      ...{ directory: instances, address, trees, runtimes, logs, log: noLog },
      bases: { resolve: () => Promise.resolve({ kind: 'host' }) },
      ...(options.clock ? { clock: options.clock } : {}),
    });
  const host: TestHost = {
    directory,
    trees,
    supervisor: open(),
    status: (id) => host.supervisor.statuses().find((one) => one.id === id)!,
    async until(id, expected) {
      await expect.poll(() => host.status(id), { timeout: 15_000, interval: 20 }).toMatchObject(expected);
      return host.status(id);
    },
    output: (id, stream = 'stdout') => readFileSync(path.join(instances, id, 'logs', `${stream}.log`), 'utf8'),
    async reopen() {
      await host.supervisor.close();
      host.supervisor = open();
      await host.supervisor.recover();
    },
    async close() {
      host.supervisor.apply([]);
      const left = (): string[] =>
        host.supervisor.statuses().flatMap(({ id, state }) => (['stopped', 'crashed'].includes(state) ? [] : id));
      await expect.poll(left, { timeout: 15_000 }).toEqual([]);
      await host.supervisor.close();
      rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
      expect(processesNaming(directory)).toEqual([]);
    },
  };
  return host;
}

let count = 0;

/** A spec with what the test is about; `worker`, restarted, stopped within 2 s, unless it says otherwise. */
export function specOf(change: Partial<InstanceSpec> & { tree?: string } = {}): InstanceSpec {
  const { tree = '0'.repeat(64), ...rest } = change;
  return {
    id: `ins_${process.pid}_${++count}`,
    name: 'web.1',
    app: { id: 'app_test', name: 'shop', project: 'default', environment: 'dev' },
    release: 1,
    processType: 'web',
    kind: 'worker',
    image: { tree, base: { name: 'host', digest: '0'.repeat(64) } },
    command: 'exec sleep 600',
    env: {},
    memoryMb: 256,
    health: { type: 'process', timeoutMs: 10_000, intervalMs: 200 },
    graceMs: 2000,
    restart: 'always',
    runtime: 'auto',
    restartToken: '',
    ...rest,
  };
}

/** Command lines of running processes that contain a text. */
export function processesNaming(text: string): string[] {
  return commandLines().filter((line) => line.includes(text));
}

export function commandLines(): string[] {
  if (process.platform !== 'linux') return execFileSync('ps', ['-axo', 'args='], { encoding: 'utf8' }).split('\n');
  return listProcesses().flatMap(({ pid }) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
    } catch {
      return [];
    }
  });
}
