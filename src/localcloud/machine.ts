/**
 * The power and init system of one host: boots it by starting its agent, starts the agent again when it dies, powers
 * off. An agent's death touches no instance; they are the keepers' children, not the cloud's.
 *
 * The agent is detached, so it outlives this program; the next one finds it by its identity, else by its arguments.
 */
import { spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf } from '../shared/errors.ts';
import { isAlive, processIdentity, type ProcessIdentity } from '../shared/processes.ts';
import { instanceGroups, removeGroups } from './cgroups.ts';
import { agentEnvironment } from './environment.ts';
import { findAgent, hostProcesses, killHost, programOf, signalAll, type HostTraces } from './host-processes.ts';
import type { CloudLog } from './log.ts';
import type { HostRecord } from './state.ts';

export interface MachineOptions {
  /** The host's directory; made at its first boot. */
  directory: string;
  /** Absolute path of the agent program. */
  agentPath: string;
  /** Environment of this program, from which the agent's is made. */
  env: NodeJS.ProcessEnv;
  log: CloudLog;
  /** Called when the agent is another process than before; makes its identity durable. */
  agentChanged(identity: ProcessIdentity | null): void;
}

/** Agents that live this long are no crash loop. */
const steadyMs = 10_000;
const restartMaxMs = 30_000;
/** How often an agent that is not our child (it was started by our predecessor) is looked at. */
const watchMs = 200;
const consoleMaxBytes = 1024 * 1024;
/** How long an agent may take to end when asked to. */
const agentGraceMs = 3_000;

export class Machine {
  readonly #host: HostRecord;
  readonly #options: MachineOptions;
  #poweredOn = false;
  /** Counts starts and takeovers, so that the end of an agent that was given up does not start another. */
  #run = 0;
  #timer: NodeJS.Timeout | undefined;
  #startedAt = 0;
  #crashes = 0;

  constructor(host: HostRecord, options: MachineOptions) {
    this.#host = host;
    this.#options = options;
  }

  /** Power on: takes over a running agent of this host, else starts one; from then on keeps it alive. */
  boot(isNew = false): void {
    if (this.#poweredOn) return;
    this.#poweredOn = true;
    const running = isNew ? null : this.#runningAgent();
    if (running) this.#watch(running);
    else this.#startAgent();
  }

  /**
   * Orderly power off, as a shutdown does it: the agent first (it would start apps again), then SIGTERM for all, and
   * SIGKILL for what is left after `graceMs`. Left half done when `signal` fires.
   */
  async powerOff(graceMs: number, signal: AbortSignal): Promise<void> {
    this.detach();
    const { agent } = this.#host;
    if (agent && isAlive(agent)) {
      terminate([agent]);
      await until(() => !isAlive(agent), agentGraceMs, signal);
      signalAll([agent], 'SIGKILL');
    }
    // The sandbox's outer process takes its apps with it at once, instead of letting them end by themselves.
    const members = hostProcesses(this.#traces());
    const groups = members.flatMap(({ pid }) => instanceGroups(pid));
    terminate(members.filter(({ pid }) => programOf(pid) !== 'bwrap'));
    await until(() => hostProcesses(this.#traces()).length === 0, graceMs, signal);
    if (signal.aborted) return;
    await this.cutPower();
    removeGroups(groups);
  }

  /** Power loss: every process of the host is killed. */
  async cutPower(): Promise<void> {
    this.detach();
    await killHost(this.#traces());
    this.#options.agentChanged(null);
  }

  /** Freezes all processes of the host. */
  suspend(): void {
    this.detach();
    signalAll(hostProcesses(this.#traces()), 'SIGSTOP');
  }

  /** Lets a frozen host go on; boots it when nothing of it is left. */
  resume(): void {
    signalAll(hostProcesses(this.#traces()), 'SIGCONT');
    this.boot();
  }

  /** Leaves the host as it is, unwatched: this program ends, or the host's power goes. */
  detach(): void {
    this.#poweredOn = false;
    this.#run++;
    clearTimeout(this.#timer);
  }

  #traces(): HostTraces {
    return { mark: this.#host.mark, directory: this.#options.directory, agent: this.#host.agent };
  }

  #runningAgent(): ProcessIdentity | null {
    const { agent } = this.#host;
    if (agent && isAlive(agent)) return agent;
    const { agentPath, directory } = this.#options;
    const found = findAgent(agentPath, dataPath(directory));
    if (found) this.#options.agentChanged(found);
    return found;
  }

  #watch(agent: ProcessIdentity): void {
    const run = ++this.#run;
    this.#timer = setInterval(() => {
      if (isAlive(agent)) return;
      clearInterval(this.#timer);
      this.#agentDied(run);
    }, watchMs).unref();
  }

  #startAgent(): void {
    const run = ++this.#run;
    try {
      this.#spawnAgent(run);
    } catch (error) {
      this.#options.log('error', 'the agent cannot be started', { host: this.#host.name, error: String(error) });
      this.#agentDied(run);
    }
  }

  #spawnAgent(run: number): void {
    const { directory, agentPath, env, log } = this.#options;
    const host = this.#host;
    const paths = prepareDirectory(directory, host.bootscript);
    const output = openConsole(paths.console);
    const args = ['--data', paths.data, '--user-data', paths.userData, '--address', host.address];
    args.push('--cpu', String(host.cpu), '--memory', String(host.memoryMb));
    args.push('--log', paths.console);
    const child = spawn(process.execPath, [agentPath, ...args], {
      cwd: directory,
      detached: true,
      stdio: ['ignore', output, output],
      env: agentEnvironment(env, host.mark),
    });
    closeSync(output);
    this.#startedAt = Date.now();
    this.#options.agentChanged(child.pid === undefined ? null : processIdentity(child.pid));
    child.once('error', (error) => {
      log('error', 'the agent cannot be started', { host: host.name, error: error.message });
      if (child.pid === undefined) this.#agentDied(run);
    });
    child.once('exit', (code, signal) => {
      if (this.#poweredOn) log('warn', 'the agent ended', { host: host.name, code, signal });
      this.#agentDied(run);
    });
    child.unref();
    log('info', 'agent started', { host: host.name, pid: child.pid, address: host.address });
  }

  /** Starts it again: at once the first time, with a growing delay when it keeps dying young. */
  #agentDied(run: number): void {
    if (!this.#poweredOn || run !== this.#run) return;
    if (Date.now() - this.#startedAt > steadyMs) this.#crashes = 0;
    const delay = this.#crashes === 0 ? 0 : Math.min(restartMaxMs, 125 * 2 ** this.#crashes);
    this.#crashes++;
    this.#timer = setTimeout(() => this.#startAgent(), delay).unref();
  }
}

/** The agent's data directory. */
const dataPath = (directory: string) => join(directory, 'data');

/** Paths of a host's directory: searchable by apps, whose directories lie below; what is private is 0600. */
function prepareDirectory(directory: string, userData: string) {
  const data = dataPath(directory);
  for (const path of [directory, data]) {
    mkdirSync(path, { recursive: true, mode: 0o711 });
    chmodSync(path, 0o711);
  }
  const path = join(directory, 'user-data');
  // A full disk must not keep a host from booting again.
  if (!existsSync(path) || readFileSync(path, 'utf8') !== userData) writeFileSync(path, userData, { mode: 0o600 });
  return { data, userData: path, console: join(directory, 'console.log') };
}

/** The host's console, appended to; of a large one the end is kept as console.log.1. */
function openConsole(path: string): number {
  try {
    if (statSync(path).size > consoleMaxBytes) renameSync(path, `${path}.1`);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  return openSync(path, 'a', 0o600);
}

/** SIGTERM, which a suspended process takes only when it goes on. */
function terminate(members: ProcessIdentity[]): void {
  signalAll(members, 'SIGTERM');
  signalAll(members, 'SIGCONT');
}

/** Waits until a condition holds, `ms` have passed or `signal` fires. */
async function until(condition: () => boolean, ms: number, signal: AbortSignal): Promise<void> {
  const deadline = Date.now() + ms;
  for (let pause = 5; !condition() && Date.now() < deadline && !signal.aborted; pause = Math.min(100, pause * 2)) {
    await sleep(pause);
  }
}
