/**
 * Processes by identity, not by number. A pid is reused sooner or later, so what is kept on disk is pid + start time +
 * boot id. Everything here is synchronous and starts no child process: it reads /proc.
 *
 * Where there is no /proc (macOS) start time and boot id are empty: a pid alone identifies the process, its children
 * are reached through its process group only, and a reused pid cannot be told apart.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { errnoOf } from './errors.ts';

export interface ProcessIdentity {
  pid: number;
  /** Clock ticks between boot and the start of the process (field 22 of /proc/PID/stat); '' where unknown. */
  startTime: string;
  /** /proc/sys/kernel/random/boot_id; '' where unknown. */
  bootId: string;
}

/** One line of the process table (proc(5), /proc/PID/stat). */
export interface ProcessEntry {
  pid: number;
  ppid: number;
  pgrp: number;
  session: number;
  /**
   * R, S, D, T, Z (zombie), X, … One whose main thread alone has ended, which the kernel shows as a zombie, is S: until its
   * other threads have ended too it runs, keeps its files and ports, and can be signalled.
   */
  state: string;
  startTime: string;
  /** User and system time used, in clock ticks (100 a second on every common Linux). */
  cpuTicks: number;
  /** Resident set in pages. */
  rssPages: number;
}

const linux = process.platform === 'linux';
let knownBootId: string | undefined;

/** The id of this boot of the machine, '' where the system has none. */
export function bootId(): string {
  knownBootId ??= linux ? readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim() : '';
  return knownBootId;
}

/** The process table's entry of a pid; null when there is no such process. Zombies are listed. Linux only. */
export function readProcess(pid: number): ProcessEntry | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${String(pid)}/stat`, 'latin1');
  } catch {
    return null; // ENOENT, or ESRCH when it ends while it is read
  }
  // The second field is the command in parentheses, and may itself contain blanks and parentheses.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const at = (field: number): string => fields[field - 3] ?? '';
  return {
    pid,
    state: at(3) === 'Z' && Number(at(20)) > 1 ? 'S' : at(3),
    ppid: Number(at(4)),
    pgrp: Number(at(5)),
    session: Number(at(6)),
    cpuTicks: Number(at(14)) + Number(at(15)),
    startTime: at(22),
    rssPages: Number(at(24)),
  };
}

/** The arguments of a process, each followed by a zero byte; '' when there is no such process. Linux only. */
export function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${String(pid)}/cmdline`, 'utf8');
  } catch {
    return ''; // ENOENT, or ESRCH when it ends while it is read
  }
}

/** The whole process table, in no particular order; empty where there is no /proc. */
export function listProcesses(): ProcessEntry[] {
  if (!linux) return [];
  const found: ProcessEntry[] = [];
  for (const name of readdirSync('/proc')) {
    const first = name.charCodeAt(0);
    if (first < 48 || first > 57) continue;
    const entry = readProcess(Number(name));
    if (entry) found.push(entry);
  }
  return found;
}

/** The identity of a running process, or null when there is none of that number (zombies count as none). */
export function processIdentity(pid: number): ProcessIdentity | null {
  if (!linux) return exists(pid) ? { pid, startTime: '', bootId: '' } : null;
  const entry = readProcess(pid);
  return entry && runs(entry) ? { pid, startTime: entry.startTime, bootId: bootId() } : null;
}

/** Whether that very process still runs: same boot, same number, same start time, and no zombie. */
export function isAlive(identity: ProcessIdentity): boolean {
  if (identity.bootId !== bootId()) return false;
  const now = processIdentity(identity.pid);
  return now !== null && now.startTime === identity.startTime;
}

/**
 * All running processes that belong to a process: itself, its children, and whoever is in a session or process group
 * led by one of them, which also finds children whose parent has ended. The process itself may have ended already.
 * Never contains the caller.
 */
export function listDescendants(identity: ProcessIdentity, table: ProcessEntry[] = listProcesses()): ProcessEntry[] {
  if (identity.bootId !== bootId()) return [];
  const now = table.find((entry) => entry.pid === identity.pid);
  // The kernel gives a number out again only when no session or group uses it: then nothing of the old tree is left.
  if (now && now.startTime !== identity.startTime) return [];
  const owned = new Set([identity.pid]);
  let grew = true;
  while (grew) {
    grew = false;
    for (const entry of table) {
      if (owned.has(entry.pid) || entry.pid === process.pid || entry.pid === 1) continue;
      if (!owned.has(entry.ppid) && !owned.has(entry.session) && !owned.has(entry.pgrp)) continue;
      owned.add(entry.pid);
      grew = true;
    }
  }
  return table.filter((entry) => owned.has(entry.pid) && entry.pid !== process.pid && runs(entry));
}

/** Passes over the process table before SIGKILL gives up on a tree that forks faster than it is killed. */
const killPasses = 50;

/**
 * Signals a process and everything that descends from it (see `listDescendants`). SIGKILL is repeated until a scan
 * finds nobody new, so that a fork during the scan does not get away. Processes that may not be signalled are left.
 * @returns how many processes were signalled
 */
export function signalTree(identity: ProcessIdentity, signal: NodeJS.Signals): number {
  if (!linux) return signalGroup(identity.pid, signal);
  const signalled = new Set<string>();
  for (let pass = 0; pass < (signal === 'SIGKILL' ? killPasses : 1); pass++) {
    const fresh = listDescendants(identity).filter((entry) => !signalled.has(`${entry.pid} ${entry.startTime}`));
    if (fresh.length === 0) break;
    for (const entry of fresh) {
      signalled.add(`${entry.pid} ${entry.startTime}`);
      sendSignal(entry.pid, signal);
    }
  }
  return signalled.size;
}

/** Sends a signal; false when the process is gone or belongs to another user. */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if (errnoOf(error) === 'ESRCH' || errnoOf(error) === 'EPERM') return false;
    throw error;
  }
}

function signalGroup(pid: number, signal: NodeJS.Signals): number {
  return sendSignal(-pid, signal) || sendSignal(pid, signal) ? 1 : 0;
}

function runs(entry: ProcessEntry): boolean {
  return entry.state !== 'Z' && entry.state !== 'X';
}

function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return errnoOf(error) === 'EPERM';
  }
}
