import { readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { listProcesses } from '../../src/shared/processes.ts';

/** nginx processes of a router's directory: the master by its command line, workers by where they are. */
export function nginxProcesses(directory: string): number[] {
  const home = realpathSync(directory);
  const isOurs = (pid: number): boolean => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
      return (
        command.startsWith('nginx:') && (command.includes(`${directory}/`) || readlinkSync(`/proc/${pid}/cwd`) === home)
      );
    } catch {
      return false; // It ended meanwhile.
    }
  };
  return listProcesses().flatMap(({ pid, state }) => (state !== 'Z' && isOurs(pid) ? [pid] : []));
}
