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
 *
 * On macOS only arguments and terminals are seen, of which those of agents and keepers name the host's directory.
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
import { psTable } from './ps-table.ts';

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
  if (process.platform !== 'linux') {
    const inside = `${host.directory}/`;
    return membersOf(psTable(), host, ({ command, terminal }) => command.includes(inside) && !terminal);
  }
  return membersOf(listProcesses(), host, (entry) => belongs(entry, host));
}

/** Those of a process table that belong to a host, with all that descend from them. */
export function membersOf<Entry extends ProcessEntry>(
  table: Entry[],
  host: Pick<HostTraces, 'agent'>,
  belongsToHost: (entry: Entry) => boolean,
): ProcessIdentity[] {
  const found = new Map<number, ProcessIdentity>();
  const addTree = (root: ProcessIdentity) => {
    for (const entry of listDescendants(root, table)) found.set(entry.pid, identityOf(entry));
  };
  if (host.agent) addTree(host.agent);
  for (const entry of table) {
    if (!found.has(entry.pid) && entry.pid !== process.pid && belongsToHost(entry)) addTree(identityOf(entry));
  }
  return [...found.values()];
}

/** The agent that runs on a data directory, when its identity was never written down: a crash fell in between. */
export function findAgent(agentPath: string, dataDir: string): ProcessIdentity | null {
  const argv = [agentPath, '--data', dataDir];
  const matches = (entry: ProcessEntry) => {
    const given = read(entry.pid, 'cmdline').split('\0').slice(1);
    return argv.every((argument, index) => given[index] === argument);
  };
  const found =
    process.platform === 'linux'
      ? listProcesses().find(matches)
      : psTable().find(({ command }) => command.includes(` ${argv.join(' ')} `));
  return found && isAlive(identityOf(found)) ? identityOf(found) : null;
}

const identityOf = ({ pid, startTime }: ProcessEntry): ProcessIdentity => ({ pid, startTime, bootId: bootId() });

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
