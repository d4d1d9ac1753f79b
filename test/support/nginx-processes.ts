import { readlinkSync, realpathSync } from 'node:fs';
import { workerCount } from '../../src/router/nginx/write.ts';
import { commandLine, listProcesses, sendSignal } from '../../src/shared/processes.ts';
import { eventually } from './wire.ts';

/** nginx processes of a router's directory: the master by its command line, workers by where they are. */
export function nginxProcesses(directory: string): number[] {
  const home = realpathSync(directory);
  const isOurs = (pid: number): boolean => {
    const command = commandLine(pid);
    // The first name is that of one that has just begun.
    if (!/^(?:\S*\/nginx\0|nginx:)/.test(command)) return false;
    if (command.includes(`${directory}/`)) return true;
    try {
      return readlinkSync(`/proc/${pid}/cwd`) === home;
    } catch {
      return false; // It ended meanwhile.
    }
  };
  return listProcesses().flatMap(({ pid, state }) => (state !== 'Z' && isOurs(pid) ? [pid] : []));
}

/** Kills them, with those that a master still starts meanwhile. Resolves when there are none. */
export const killNginx = (directory: string): Promise<void> =>
  eventually('nginx to be dead', () => {
    const left = nginxProcesses(directory);
    for (const pid of left) sendSignal(pid, 'SIGKILL');
    return left.length === 0;
  });

/** A worker of a configuration before, which stays for its connections. */
export const isLeaving = (pid: number): boolean => commandLine(pid).includes('shutting down');

/**
 * Resolves when every worker has begun, and those of before are gone: a router is ready as soon as one worker is, and a
 * reload is over while old ones still end.
 * @returns the processes, in order
 */
export async function settledNginx(directory: string): Promise<number[]> {
  let found: number[] = [];
  await eventually('all workers to run, and no others', () => {
    found = nginxProcesses(directory).sort((one, other) => one - other);
    return found.length === 1 + workerCount() && found.filter(isWorking).length === workerCount();
  });
  return found;
}

/** It shows a name of its own when it has begun. */
const isWorking = (pid: number): boolean => commandLine(pid).startsWith('nginx: worker process') && !isLeaving(pid);
