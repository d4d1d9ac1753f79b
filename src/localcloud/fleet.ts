/**
 * The hosts of the embedded cloud and what can be done to them.
 *
 *   provision ► Provisioning ──► Running ◄── start, resume
 *                    │             │ stop ► Stopped ── destroy ► gone
 *                    └─► ERROR     │ suspend ► Suspended
 *   kill (power loss): from anywhere to Stopped, at once
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SpeedyProvision } from '../shared/contracts/speedycloud.ts';
import { JobRunner, unfinished } from './jobs.ts';
import type { CloudLog } from './log.ts';
import { Machine } from './machine.ts';
import { Refusal } from './refusal.ts';
import { removeTree } from './remove-tree.ts';
import { newHost, type CloudState, type HostRecord, type HostStatus, type JobName, type JobRecord } from './state.ts';

export interface FleetOptions {
  state: CloudState;
  /** Where the hosts' directories lie; real path. */
  hostRoot: string;
  agentPath: string;
  env: NodeJS.ProcessEnv;
  log: CloudLog;
  maxHosts: number;
  /** SIGTERM to SIGKILL at power off. */
  graceMs: number;
  /** Artificial time between provision and boot. */
  bootDelayMs: number;
}

/** From which states an action is possible. */
const allowedFrom: Record<Exclude<JobName, 'provision'>, HostStatus[]> = {
  start: ['Stopped', 'ERROR'],
  stop: ['Running', 'Suspended'],
  restart: ['Running'],
  suspend: ['Running'],
  resume: ['Suspended'],
  destroy: ['Stopped', 'Suspended', 'ERROR'],
};
export type HostAction = keyof typeof allowedFrom;
export const hostActions = Object.keys(allowedFrom) as HostAction[];

export class Fleet {
  readonly #options: FleetOptions;
  readonly #machines = new Map<number, Machine>();
  readonly #jobs: JobRunner;
  /** Hosts whose power is being cut. */
  readonly #cutting = new Set<number>();
  #closed = false;

  constructor(options: FleetOptions) {
    this.#options = options;
    this.#jobs = new JobRunner({ ...options, work: (...args) => this.#work(...args) });
  }

  /** After a start: finishes interrupted jobs, and boots (or takes over) every host that should run. */
  recover(): void {
    for (const host of this.hosts()) {
      const job = unfinished(host);
      if (job) this.#jobs.run(host, job);
      else if (host.status === 'Running') this.#machine(host).boot();
    }
  }

  hosts(): HostRecord[] {
    return this.#options.state.record.hosts;
  }

  host(id: number): HostRecord {
    const host = this.hosts().find((candidate) => candidate.id === id);
    if (!host) throw new Refusal(404, `there is no cloud server ${id}`);
    return host;
  }

  /** Creates a host, durably; it boots by a job. Throws Refusal: quota (400), no addresses (503). */
  provision(request: SpeedyProvision): HostRecord {
    const { state, maxHosts } = this.#options;
    this.#refuseWhenClosed();
    if (this.hosts().length >= maxHosts) {
      throw new Refusal(400, `quota exceeded: this cloud holds ${maxHosts} cloud servers at most`);
    }
    const host = newHost(state.record, request);
    if (!host) throw new Refusal(503, 'no capacity: all addresses are in use');
    this.hosts().push(host);
    try {
      this.#jobs.begin(host, 'provision', true);
    } catch (error) {
      this.#forget(host); // it could not be written down, so it must not exist
      throw error;
    }
    return host;
  }

  /** Begins a job on a host. Throws Refusal: unknown (404), busy or in a wrong state (409). */
  act(id: number, action: HostAction): JobRecord {
    this.#refuseWhenClosed();
    const host = this.host(id);
    const busy = this.#cutting.has(id) ? 'power loss' : unfinished(host)?.name;
    if (busy !== undefined) throw new Refusal(409, `cloud server ${id} has a running job: ${busy}`);
    if (!allowedFrom[action].includes(host.status)) {
      throw new Refusal(409, `cannot ${action} cloud server ${id}: it is ${host.status}`);
    }
    return this.#jobs.begin(host, action);
  }

  /** Changes labels of a host, durably. */
  label(id: number, labels: Partial<Pick<HostRecord, 'tags' | 'alias' | 'groupName'>>): HostRecord {
    this.#refuseWhenClosed();
    const host = this.host(id);
    const before = { tags: host.tags, alias: host.alias, groupName: host.groupName };
    Object.assign(host, labels);
    this.#options.state.commit(() => Object.assign(host, before));
    return host;
  }

  /** Power loss: whatever is under way is broken off, all processes are killed, and the host is Stopped. */
  async kill(id: number): Promise<HostRecord> {
    this.#refuseWhenClosed();
    const host = this.host(id);
    this.#cutting.add(id);
    try {
      await this.#jobs.abort(id);
      if (!this.hosts().includes(host)) return host; // it was being destroyed
      await this.#machine(host).cutPower();
      host.status = 'Stopped';
      this.#options.state.note();
      this.#options.log('warn', 'power was cut', { host: host.name });
      return host;
    } finally {
      this.#cutting.delete(id);
    }
  }

  /** Orderly power off of all hosts, which keep the state they have: the next start of the cloud boots them again. */
  async shutdown(): Promise<void> {
    await this.close();
    const { signal } = new AbortController();
    await Promise.all(this.hosts().map((host) => this.#machine(host).powerOff(this.#options.graceMs, signal)));
  }

  /** Takes no more orders, and leaves all hosts running, unwatched. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#jobs.close();
    for (const machine of this.#machines.values()) machine.detach();
  }

  #refuseWhenClosed(): void {
    if (this.#closed) throw new Refusal(503, 'the cloud is shutting down');
  }

  async #work(host: HostRecord, job: JobName, signal: AbortSignal, isNew: boolean): Promise<void> {
    const machine = this.#machine(host);
    const { graceMs, bootDelayMs } = this.#options;
    switch (job) {
      case 'provision':
      case 'start':
        if (bootDelayMs > 0) await sleep(bootDelayMs, undefined, { signal });
        machine.boot(isNew);
        host.status = 'Running';
        return;
      case 'stop':
        await machine.powerOff(graceMs, signal);
        signal.throwIfAborted();
        host.status = 'Stopped';
        return;
      case 'restart':
        await machine.powerOff(graceMs, signal);
        signal.throwIfAborted();
        machine.boot();
        return;
      case 'suspend':
        machine.suspend();
        host.status = 'Suspended';
        return;
      case 'resume':
        machine.resume();
        host.status = 'Running';
        return;
      case 'destroy':
        await machine.cutPower();
        await removeTree(join(this.#options.hostRoot, host.name));
        this.#forget(host);
        return;
    }
  }

  #forget(host: HostRecord): void {
    this.#machines.delete(host.id);
    this.hosts().splice(this.hosts().indexOf(host), 1);
  }

  #machine(host: HostRecord): Machine {
    const known = this.#machines.get(host.id);
    if (known) return known;
    const { hostRoot, state } = this.#options;
    const machine = new Machine(host, {
      ...this.#options,
      directory: join(hostRoot, host.name),
      agentChanged: (identity) => {
        host.agent = identity;
        state.note();
      },
    });
    this.#machines.set(host.id, machine);
    return machine;
  }
}
