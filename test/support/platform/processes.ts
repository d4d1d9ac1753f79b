/** The processes of one platform, found in /proc by the directories that they work on. Linux only. */
import { existsSync, readFileSync } from 'node:fs';
import { instanceGroups } from '../../../src/localcloud/cgroups.ts';
import { isAlive, listProcesses, processIdentity, sendSignal } from '../../../src/shared/processes.ts';

export interface Found {
  pid: number;
  command: string;
}

export interface PlatformProcesses {
  servers: Found[];
  clouds: Found[];
  agents: Found[];
  routers: Found[];
  /** Keepers, apps, and whatever else works on the platform's directories. */
  others: Found[];
}

const read = (pid: number, file: string): string => {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1').replaceAll('\0', ' ');
  } catch {
    return ''; // It ended meanwhile.
  }
};

/** Everything that has one of the directories in its command line or environment, but for the tests themselves. */
export function processesOf(directories: readonly string[]): PlatformProcesses {
  const found: PlatformProcesses = { servers: [], clouds: [], agents: [], routers: [], others: [] };
  const all = listProcesses().filter(({ pid, state }) => pid !== process.pid && state !== 'Z' && state !== 'X');
  for (const { pid } of all) {
    const command = read(pid, 'cmdline');
    const text = `${command}\n${read(pid, 'environ')}`;
    if (!directories.some((directory) => text.includes(`${directory}/`))) continue;
    kindOf(found, command).push({ pid, command: command.slice(0, 300) });
  }
  // nginx's workers write their title over the arguments and the environment.
  const masters = new Set(found.routers.map(({ pid }) => pid));
  for (const { pid, ppid } of all) {
    const command = read(pid, 'cmdline');
    if (masters.has(ppid) && command.startsWith('nginx: ')) found.others.push({ pid, command });
  }
  return found;
}

function kindOf(found: PlatformProcesses, command: string): Found[] {
  if (/^\S+ \S*paas-server\.js /.test(command)) return found.servers;
  if (/^\S+ \S*paas-cloud\.js /.test(command)) return found.clouds;
  if (/^\S+ \S*agent\.js router /.test(command) || command.startsWith('nginx: master process ')) return found.routers;
  if (/^\S+ \S*paas-agent\.js /.test(command)) return found.agents;
  return found.others;
}

/** Processes whose command line matches, whosever they are: inside a sandbox, nothing names its platform. */
export function running(pattern: RegExp): Found[] {
  const all = listProcesses().filter(({ pid, state }) => pid !== process.pid && state !== 'Z' && state !== 'X');
  return all.map(({ pid }) => ({ pid, command: read(pid, 'cmdline') })).filter(({ command }) => pattern.test(command));
}

export function allOf(processes: PlatformProcesses): Found[] {
  const { servers, clouds, agents, routers, others } = processes;
  return [...clouds, ...servers, ...agents, ...routers, ...others];
}

/** Control groups that these processes' instances have. */
export function groupsOf(processes: readonly Found[]): string[] {
  return [...new Set(processes.flatMap(({ pid }) => instanceGroups(pid)))].filter((path) => existsSync(path));
}

/** `kill -9`, and waits until they are gone. */
export async function killNow(pids: readonly number[], signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  const alive = pids.flatMap((pid) => processIdentity(pid) ?? []);
  for (const { pid } of alive) sendSignal(pid, signal);
  const deadline = Date.now() + 60_000;
  while (alive.some(isAlive)) {
    if (Date.now() > deadline) throw new Error(`processes ${pids.join(', ')} do not end by ${signal}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
