/**
 * Giving the disk space of delivered output back. Log files only grow, so that an offset means the same for ever; their
 * delivered beginning is made a hole. Where the file system or `fallocate` cannot do that, the copier is held while the
 * file is cut to nothing and stretched to its old length again, which leaves a hole just as well.
 */
import { execFile } from 'node:child_process';
import { statSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { bootId, listDescendants, readProcess, sendSignal } from '../../shared/processes.ts';
import { copierPids, readRun } from './keeper.ts';
import { findTool } from './tools.ts';

const run = promisify(execFile);

/**
 * Makes the first `length` bytes of a file a hole. The file's size stays.
 * @returns false when that is not possible here
 */
export async function freePrefix(file: string, length: number): Promise<boolean> {
  const tool = findTool('fallocate');
  if (tool === null) return false;
  try {
    await run(tool, ['--punch-hole', '--offset', '0', '--length', String(length), file], { cwd: '/' });
    return true;
  } catch {
    return false; // not a file system that can
  }
}

/**
 * Makes all of a file a hole while its writers are stopped, provided it has the expected size then.
 * @param file an instance's log file, as `logFile` names it
 * @returns whether it was done
 */
export function freeAll(file: string, size: number): boolean {
  const instance = path.dirname(path.dirname(file));
  const { keeper } = readRun(instance, bootId());
  const copiers = copierPids(instance);
  const kept = keeper === null ? [] : listDescendants(keeper);
  const writers = kept.filter((entry) => copiers.includes(entry.pid) || copiers.includes(entry.ppid));
  try {
    for (const { pid } of writers) sendSignal(pid, 'SIGSTOP');
    const held = writers.every(({ pid }) => ['T', 'Z', undefined].includes(readProcess(pid)?.state));
    if (!held || statSync(file).size !== size) return false;
    truncateSync(file, 0);
    truncateSync(file, size);
    return true;
  } finally {
    for (const { pid } of writers) sendSignal(pid, 'SIGCONT');
  }
}
