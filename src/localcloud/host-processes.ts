/**
 * Which processes belong to a host of the embedded cloud. A real host takes all of its processes with it when its power
 * goes; here they must be found, whoever started them:
 *
 *   - the agent, and what inherited its environment: by the host's mark in /proc/PID/environ
 *   - apps: by HOME or TMPDIR in their environment, which lie in the host's directory
 *   - keepers and daemons of apps that cleared their environment: by a working directory, root or argument in the
 *     host's directory. That is weak evidence (an operator's shell may stand there too), so it counts only for
 *     processes without a terminal that lead a session or have lost their parent
 *   - and all that descend from these, or are in sessions and process groups that these lead
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { PaasError } from '../shared/errors.ts';
import {
  bootId,
  isAlive,
  listDescendants,
  listProcesses,
  sendSignal,
  type ProcessEntry,
  type ProcessIdentity,
} from '../shared/processes.ts';
import { instanceGroups, removeGroups } from './cgroups.ts';

export const markVariable = 'PAAS_HOST_MARK';

export interface HostTraces {
  /** Value of PAAS_HOST_MARK. */
  mark: string;
  /** The host's directory, absolute and without symbolic links. */
  directory: string;
  /** Its agent as last known. */
  agent: ProcessIdentity | null;
}

/** All living processes of a host. Never contains the caller. */
export function hostProcesses(host: HostTraces): ProcessIdentity[] {
  const table = listProcesses();
  const found = new Map<number, ProcessIdentity>();
  const add = (entry: ProcessEntry) =>
    found.set(entry.pid, { pid: entry.pid, startTime: entry.startTime, bootId: bootId() });
  if (host.agent) listDescendants(host.agent, table).forEach(add);
  for (const entry of table) {
    if (found.has(entry.pid) || entry.pid === process.pid || !belongs(entry, host)) continue;
    const root = { pid: entry.pid, startTime: entry.startTime, bootId: bootId() };
    listDescendants(root, table).forEach(add);
  }
  // Without a process table (macOS) the agent is all that is known; its group is signalled with it.
  if (table.length === 0 && host.agent && isAlive(host.agent)) return [host.agent];
  return [...found.values()];
}

/** The host's agent among all processes, when its identity was never written down: a crash fell in between. */
export function findAgent(host: Omit<HostTraces, 'agent'>, agentPath: string): ProcessIdentity | null {
  for (const entry of listProcesses()) {
    const argv = read(entry.pid, 'cmdline').split('\0');
    // The agent's own children have the mark too, and its router runs from the same file.
    if (argv[1] !== agentPath || argv[2] !== '--data' || !hasMark(read(entry.pid, 'environ'), host.mark)) continue;
    const identity = { pid: entry.pid, startTime: entry.startTime, bootId: bootId() };
    if (isAlive(identity)) return identity;
  }
  return null;
}

const killDeadlineMs = 10_000;

/**
 * Cuts the power: SIGKILL for every process of the host, until a scan finds none. Their control groups go too.
 * @throws PaasError host_failed when some are still there after 10 s (uninterruptible sleep), naming them
 */
export async function killHost(host: HostTraces): Promise<void> {
  const deadline = Date.now() + killDeadlineMs;
  const groups = new Set<string>();
  for (;;) {
    const members = hostProcesses(host);
    if (members.length === 0) break;
    for (const { pid } of members) instanceGroups(pid).forEach((group) => groups.add(group));
    if (Date.now() > deadline) {
      const pids = members.map((member) => member.pid).join(', ');
      throw new PaasError('host_failed', `processes ${pids} do not end although they were killed`);
    }
    // All are stopped before the first is killed: who is left for a moment could start others, or restart them.
    signalAll(members, 'SIGSTOP');
    signalAll(members, 'SIGKILL');
    await sleep(5);
  }
  removeGroups(groups);
}

/** Signals processes that still are who they were. */
export function signalAll(members: ProcessIdentity[], signal: NodeJS.Signals): void {
  for (const member of members) if (isAlive(member)) sendSignal(member.pid, signal);
}

/** The name of a process's program (15 characters), '' when it is gone. */
export function programOf(pid: number): string {
  return read(pid, 'comm').trim();
}

function belongs(entry: ProcessEntry, host: HostTraces): boolean {
  const environ = read(entry.pid, 'environ');
  if (hasMark(environ, host.mark)) return true;
  const inside = `${host.directory}/`;
  if (environ.split('\0').some((item) => item.startsWith(`HOME=${inside}`) || item.startsWith(`TMPDIR=${inside}`))) {
    return true;
  }
  if (entry.session !== entry.pid && entry.ppid !== 1) return false;
  const isNear =
    [link(entry.pid, 'cwd'), link(entry.pid, 'root'), link(entry.pid, 'exe')].some((path) => path.startsWith(inside)) ||
    read(entry.pid, 'cmdline').includes(inside);
  return isNear && !hasTerminal(entry.pid);
}

function hasMark(environ: string, mark: string): boolean {
  return environ.split('\0').includes(`${markVariable}=${mark}`);
}

/** Field 7 of /proc/PID/stat: the controlling terminal, 0 for none. */
function hasTerminal(pid: number): boolean {
  const stat = read(pid, 'stat');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[4] !== '0';
}

/** A file of /proc/PID; '' when the process is gone or another user's. */
function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return '';
  }
}

function link(pid: number, file: string): string {
  try {
    return readlinkSync(`/proc/${pid}/${file}`);
  } catch {
    return '';
  }
}
