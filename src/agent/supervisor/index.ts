/**
 * Supervisor: keeps the instances of a host as the assignment wants them. Level-triggered: `apply` takes the whole
 * desired set, at any time and as often as one likes. What runs outlives it; `recover` takes it up again from disk.
 */
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { InstanceSpec, InstanceStatus } from '../../shared/contracts/instances.ts';
import { PaasError } from '../../shared/errors.ts';
import { systemClock, type Clock } from '../clock.ts';
import { openLimits } from '../limits/cgroup.ts';
import { errorFields, type Log } from '../log.ts';
import { choosePort, defaultPortRange, type PortRange } from '../ports.ts';
import type { RuntimeCommand } from '../runtimes/port.ts';
import type { Runtimes } from '../runtimes/registry.ts';
import type { Bases, InstanceContext, LogSink, Trees } from './context.ts';
import { Instance } from './instance.ts';
import { killLeftover, prepareOneOff, type OneOff } from './one-off.ts';
import { listInstances, readRecord, removeInstance, setAsideRecord } from './record.ts';
import { watchUsage } from './usage.ts';

export interface Supervisor {
  /** Takes up what runs, from the records on disk. To be called once, before anything else. */
  recover(): Promise<void>;
  /** The whole desired set; what is absent is stopped gracefully and then removed. */
  apply(specs: readonly InstanceSpec[]): void;
  /** Stops what is not among these, as `apply` does; begins and changes nothing. */
  retain(wanted: ReadonlySet<string>): void;
  /** All instances, also those that are no longer wanted until `logsDone`. */
  statuses(): InstanceStatus[];
  /** Calls back with what changed, gathered per turn of the event loop. Usage alone is no change. */
  onChange(listener: (changed: InstanceStatus[]) => void): () => void;
  /** All output of an instance is stored by the control plane: a stopped one is forgotten and its files removed. */
  logsDone(instance: string): void;
  /** A command inside a running instance, to be started with `spawnCommand`. Throws not_found, conflict. */
  exec(instance: string, argv: readonly string[]): Promise<RuntimeCommand>;
  /** A fresh surrounding for commands that end with their session (`paas run`). Throws what its preparation throws. */
  oneOff(spec: InstanceSpec): Promise<OneOff>;
  /** What this host cannot enforce, for `paas status`. */
  notices: readonly string[];
  /** Stops watching; instances keep running. */
  close(): Promise<void>;
}

export interface SupervisorOptions {
  /** Where instance directories go; all above it must be searchable by the users of apps. */
  directory: string;
  /** The address that routers reach instances at. */
  address: string;
  trees: Trees;
  bases: Bases;
  runtimes: Runtimes;
  log: Log;
  logs: LogSink;
  ports?: PortRange;
  clock?: Clock;
}

/** Starts at once at most. */
const parallelStarts = 8;

export function createSupervisor(options: SupervisorOptions): Supervisor {
  const { directory, log, logs, ports = defaultPortRange, clock = systemClock } = options;
  mkdirSync(directory, { recursive: true, mode: 0o711 });
  // Several agents may share a machine: their groups are told apart by where their data is.
  const limits = openLimits(createHash('sha256').update(path.resolve(directory)).digest('hex').slice(0, 12));
  const instances = new Map<string, Instance>();
  const listeners = new Set<(changed: InstanceStatus[]) => void>();
  const changed = new Set<string>();
  const given = new Set<number>();
  /** Instances whose output is all stored. */
  const delivered = new Set<string>();
  let choosing: Promise<unknown> = Promise.resolve();

  const context: InstanceContext = {
    directory,
    address: options.address,
    trees: options.trees,
    bases: options.bases,
    runtimes: options.runtimes,
    limits,
    log,
    logs,
    clock,
    inTurn: inTurns(parallelStarts),
    choosePort() {
      // One after the other, so that two never try the same one.
      const chosen = choosing.then(async () => {
        const port = await choosePort(ports, given);
        given.add(port);
        return port;
      });
      choosing = chosen.catch(() => undefined);
      return chosen;
    },
    releasePort: (port) => given.delete(port),
    changed(id) {
      if (changed.size === 0) setImmediate(tell);
      changed.add(id);
      if (delivered.has(id)) forget(id);
    },
  };

  function tell(): void {
    const statuses = [...changed].flatMap((id) => instances.get(id)?.status() ?? []);
    changed.clear();
    if (statuses.length > 0) for (const listener of listeners) listener(statuses);
  }

  function begin(instance: Instance): void {
    instances.set(instance.id, instance);
    if (instance.record.port !== null) given.add(instance.record.port);
    instance.begin();
  }

  /** Removes all traces of an instance of which nothing is left to do. */
  function forget(id: string): void {
    const instance = instances.get(id);
    if (instance && !instance.retired) return;
    // How it ended is said before it is forgotten.
    if (changed.has(id)) tell();
    delivered.delete(id);
    if (!instances.delete(id)) return;
    logs.remove(id);
    removeInstance(path.join(directory, id), log);
  }

  async function recoverOne(id: string): Promise<void> {
    const own = path.join(directory, id);
    try {
      const record = readRecord(own);
      if (record) {
        begin(new Instance(context, id, record));
        return;
      }
    } catch (error) {
      if (!(error instanceof PaasError && error.code === 'corrupt')) throw error;
      // Its logs are kept: they go on when the assignment wants the instance again.
      log.error('the record of an instance is damaged; it is put aside', { instance: id, ...errorFields(error) });
      setAsideRecord(own);
      return killLeftover(context, id);
    }
    await killLeftover(context, id);
    removeInstance(own, log);
  }

  const stopWatching = watchUsage(instances, limits, log);

  return {
    notices: limits.notices,
    async recover() {
      await Promise.all(listInstances(directory).map(recoverOne));
    },
    apply(specs) {
      const wanted = new Map(specs.map((spec) => [spec.id, spec]));
      for (const id of wanted.keys()) delivered.delete(id);
      for (const [id, instance] of instances) instance.want(wanted.get(id) ?? null);
      for (const [id, spec] of wanted) if (!instances.has(id)) begin(new Instance(context, id, spec));
    },
    retain(wanted) {
      for (const [id, instance] of instances) if (!wanted.has(id)) instance.want(null);
    },
    statuses: () => [...instances.values()].map((instance) => instance.status()),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    logsDone(id) {
      delivered.add(id);
      forget(id);
    },
    async exec(id, argv) {
      const instance = instances.get(id);
      if (!instance) throw new PaasError('not_found', `instance ${id} is not on this host`);
      return instance.exec(argv);
    },
    oneOff: (spec) => prepareOneOff(context, spec),
    async close() {
      stopWatching();
      await Promise.all([...instances.values()].map((instance) => instance.close()));
      listeners.clear();
    },
  };
}

/** Lets at most `count` pieces of work run at once, the others in the order of their asking. */
function inTurns(count: number): InstanceContext['inTurn'] {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (running >= count) await new Promise<void>((resolve) => waiting.push(resolve));
    running++;
    try {
      return await work();
    } finally {
      running--;
      waiting.shift()?.();
    }
  };
}
