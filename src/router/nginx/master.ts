/** nginx's processes: the master, which the driver knows by its identity, and workers that one killed leaves behind. */
import { readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { readJsonFileIfSound } from '../../shared/files.ts';
import { bootId, commandLine, isAlive, listDescendants, listProcesses, sendSignal } from '../../shared/processes.ts';
import type { ProcessEntry, ProcessIdentity } from '../../shared/processes.ts';
import { callSocket } from '../control-socket.ts';
import { running, type NginxFiles, type Running } from './layout.ts';
import { untilClosed } from './ports.ts';

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
  await until(() => !isAlive(master), graceMs);
  const tree = (): ProcessEntry[] => listDescendants(master);
  for (const { pid } of tree()) sendSignal(pid, 'SIGKILL');
  await until(() => tree().length === 0, killedMs);
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
 * Ends all nginx processes of a directory, so that another one may begin: a master and its workers, known or not, and
 * workers whose master is gone, which go on serving. Resolves when their ports are free; requests under way have 10 s
 * more, beside the next nginx.
 */
export async function endProcesses(directory: string, files: NginxFiles): Promise<void> {
  const masters = (): ProcessEntry[] => processesOf(directory, files).filter(({ pid }) => isMaster(pid, files));
  // It would replace its workers. Killed, since one that ends in order removes the files of the next one.
  for (const { pid } of masters()) sendSignal(pid, 'SIGKILL');
  await until(() => masters().length === 0, killedMs);
  const left = processesOf(directory, files);
  const pids = left.map(({ pid }) => pid);
  if (pids.length === 0) return;
  for (const pid of pids) sendSignal(pid, 'SIGQUIT');
  const isFree = await untilClosed(pids, graceMs);
  const ended = reap(left, isFree ? graceMs : 0);
  if (!isFree) await ended;
}

/** Ends a router gracefully, with all that is left of those before it. */
export async function endRouter(directory: string, files: NginxFiles): Promise<void> {
  const master = livingMaster(files);
  if (master) await endMaster(master);
  await reap(processesOf(directory, files), 0);
}

/** Kills what is left of some processes after a while. */
async function reap(processes: readonly ProcessEntry[], afterMs: number): Promise<void> {
  if (afterMs > 0) await sleep(afterMs, undefined, { ref: false });
  const left = (): ProcessEntry[] =>
    processes.filter(({ pid, startTime }) => isAlive({ pid, startTime, bootId: bootId() }));
  for (const { pid } of left()) sendSignal(pid, 'SIGKILL');
  await until(() => left().length === 0, killedMs);
}

function processesOf(directory: string, files: NginxFiles): ProcessEntry[] {
  const table = listProcesses();
  const last = lastRun(files);
  const found = new Map<number, ProcessEntry>();
  if (last) for (const entry of listDescendants(last, table)) found.set(entry.pid, entry);
  // One that was started by an agent that died before it could note it down.
  const home = read(() => realpathSync(directory));
  for (const entry of table) {
    if (isNginx(entry.pid) && (isIn(entry.pid, home) || isMaster(entry.pid, files))) found.set(entry.pid, entry);
  }
  return [...found.values()].filter(({ state }) => state !== 'Z');
}

const isNginx = (pid: number): boolean => read(() => readFileSync(`/proc/${pid}/comm`, 'utf8')) === 'nginx\n';

/** Workers are in the router's directory (`working_directory`). */
const isIn = (pid: number, home: string | null): boolean =>
  home !== null && read(() => readlinkSync(`/proc/${pid}/cwd`)) === home;

/** A master shows what it was started with; a worker does not. */
function isMaster(pid: number, { configuration }: NginxFiles): boolean {
  return commandLine(pid).replaceAll('\0', ' ').includes(` -c ${configuration} `);
}

/** null: it is gone, or somebody else's. */
function read(value: () => string): string | null {
  try {
    return value();
  } catch {
    return null;
  }
}

/** @returns whether it came true in time */
async function until(condition: () => boolean, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (!condition()) {
    if (Date.now() >= deadline) return false;
    await sleep(pollMs);
  }
  return true;
}
