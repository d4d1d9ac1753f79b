/** nginx's processes: the master, which the driver knows by its identity, and workers that one killed leaves behind. */
import { readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { readJsonFileIfSound } from '../../shared/files.ts';
import { isAlive, listDescendants, listProcesses, sendSignal } from '../../shared/processes.ts';
import type { ProcessEntry, ProcessIdentity } from '../../shared/processes.ts';
import { callSocket } from '../control-socket.ts';
import { running, type NginxFiles, type Running } from './layout.ts';

const pollMs = 20;
/** How long open requests have after the order to stop. */
const graceMs = 10_000;
/** What a process that was killed may take to be gone. */
const killedMs = 5_000;

/** The router that was started last, living or not; undefined where there is none on record. */
export function lastRun(files: NginxFiles): Running | undefined {
  return readJsonFileIfSound(files.running, running);
}

/** The living master of a directory. */
export function livingMaster(files: NginxFiles): Running | undefined {
  const last = lastRun(files);
  return last && isAlive(last) ? last : undefined;
}

/** Ends a router gracefully: open requests have 10 s, then they are broken off. */
export async function endMaster(master: ProcessIdentity): Promise<void> {
  sendSignal(master.pid, 'SIGQUIT');
  await untilGone(() => [master].filter(isAlive), graceMs);
  const tree = (): ProcessEntry[] => listDescendants(master);
  for (const { pid } of tree()) sendSignal(pid, 'SIGKILL');
  await untilGone(tree, killedMs);
}

/** How long before a reload connections end with their response. */
const closingMs = 300;

/**
 * Makes the master take its configuration anew. Old workers close connections at rest at once, also where a request is
 * on its way: so those in use are ended with a response before.
 */
export async function reload(files: NginxFiles, pid: number): Promise<void> {
  await callSocket(files.socket, 'PUT /closing');
  await sleep(closingMs);
  sendSignal(pid, 'SIGHUP');
}

/**
 * Ends what is left in a directory whose master is gone or was never on record: its workers go on serving and hold its
 * ports. They are asked to finish first, which frees the ports at once.
 */
export async function endOrphans(directory: string, files: NginxFiles): Promise<void> {
  const left = (): ProcessEntry[] => orphans(directory, files);
  const found = left();
  if (found.length === 0) return;
  for (const { pid } of found) sendSignal(pid, 'SIGQUIT');
  await untilGone(left, graceMs);
  for (const { pid } of left()) sendSignal(pid, 'SIGKILL');
  await untilGone(left, killedMs);
}

function orphans(directory: string, files: NginxFiles): ProcessEntry[] {
  const table = listProcesses();
  const last = lastRun(files);
  const found = new Map<number, ProcessEntry>();
  if (last) for (const entry of listDescendants(last, table)) found.set(entry.pid, entry);
  // One that was started by an agent that died before it could note it down.
  const home = realpathSync(directory);
  for (const entry of table) if (isNginxIn(entry.pid, home)) found.set(entry.pid, entry);
  return [...found.values()].filter(({ state }) => state !== 'Z');
}

/** Workers are in the router's directory (`working_directory`). */
function isNginxIn(pid: number, home: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8') === 'nginx\n' && readlinkSync(`/proc/${pid}/cwd`) === home;
  } catch {
    return false; // gone, or somebody else's
  }
}

async function untilGone(left: () => readonly unknown[], timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (left().length > 0 && Date.now() < deadline) await sleep(pollMs);
}
