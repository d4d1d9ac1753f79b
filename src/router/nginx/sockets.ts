/** The system's table of TCP sockets, and whose they are. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { errnoOf } from '../../shared/errors.ts';

/** A line of proc(5), /proc/net/tcp; addresses and state are hexadecimal. */
export interface TcpSocket {
  local: string;
  remote: string;
  state: string;
  inode: string;
}

/** Of IPv4 and IPv6. */
export const tcpSockets = (): TcpSocket[] => ['/proc/net/tcp', '/proc/net/tcp6'].flatMap(socketsIn);

function socketsIn(path: string): TcpSocket[] {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
  const lines = text.split('\n').slice(1).filter((line) => line !== ''); // prettier-ignore
  return lines.map((line) => {
    const [, local = '', remote = '', state = '', , , , , , inode = ''] = line.trim().split(/\s+/);
    return { local, remote, state, inode };
  });
}

const listening = '0A';
const portOf = ({ local }: TcpSocket): number => Number.parseInt(local.slice(local.indexOf(':') + 1), 16);

/** Ports that the given processes listen on. */
export function portsOf(pids: readonly number[]): Set<number> {
  const own = new Set(pids.flatMap(inodesOf));
  const found = tcpSockets().filter(({ state, inode }) => state === listening && own.has(inode));
  return new Set(found.map(portOf));
}

/** Sockets of a process; none where it has ended. */
export function inodesOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return []; // closed meanwhile
      }
    });
  } catch {
    return []; // the process has ended
  }
}
