/** Starting real instances in tests: directories that app users may enter, trees out of memory, a supervisor on top. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { BaseRef, InstanceStatus } from '../../src/shared/contracts/instances.ts';
import { listProcesses } from '../../src/shared/processes.ts';
import type { Clock } from '../../src/agent/clock.ts';
import type { Base, RuntimeKind } from '../../src/agent/runtimes/port.ts';
import { drivers, findRuntimes } from '../../src/agent/runtimes/registry.ts';
import type { LogSink } from '../../src/agent/supervisor/context.ts';
import { createSupervisor, type Supervisor } from '../../src/agent/supervisor/index.ts';
import { address, MemoryTrees, specOf } from './instances-data.ts';
import { eventually } from './eventually.ts';

export { MemoryTrees, specOf };

/** A temporary directory that other users may search. */
export function openTemporary(): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'paas-test-'));
  chmodSync(directory, 0o711);
  return directory;
}

const noLog = { info: () => undefined, warn: () => undefined, error: () => undefined };

export interface TestHost {
  directory: string;
  trees: MemoryTrees;
  base: Base;
  /** Bases that are held, each as often as it is. */
  holds: number;
  /** How the supervisor comes by a base. */
  resolve(base: BaseRef): Promise<Base>;
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
      directory: instances,
      address,
      trees,
      runtimes,
      logs,
      log: noLog,
      bases: {
        resolve: (base) => host.resolve(base),
        hold() {
          host.holds++;
          return () => host.holds--;
        },
      },
      ...(options.clock ? { clock: options.clock } : {}),
    });
  const host: TestHost = {
    directory,
    trees,
    base: { kind: 'host' },
    holds: 0,
    resolve: () => Promise.resolve(host.base),
    supervisor: open(),
    status: (id) => host.supervisor.statuses().find((one) => one.id === id)!,
    async until(id, expected) {
      await eventually(() => host.status(id)).toMatchObject(expected);
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
      await eventually(left).toEqual([]);
      await host.supervisor.close();
      // What was killed may take a moment to go.
      await eventually(() => processesNaming(directory)).toEqual([]);
      rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
    },
  };
  return host;
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
