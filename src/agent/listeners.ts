/** Which processes listen on which TCP ports, from /proc/net/tcp and the descriptors of processes. */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { processIdentity } from '../shared/processes.ts';

export interface Listener {
  port: number;
  /** As the system prints it; `0.0.0.0` and `::` mean all addresses. */
  address: string;
  inode: string;
}

/** All listening TCP sockets of this network namespace; null where there is no /proc/net. */
export function listListeners(): Listener[] | null {
  try {
    return [...parse(readFileSync('/proc/net/tcp', 'latin1')), ...parse(readOptional('/proc/net/tcp6'))];
  } catch {
    return null;
  }
}

/**
 * Those of the listeners whose socket one of the processes holds; what has ended holds none. Null when some live, and none
 * of these could be looked into.
 */
export function listenersOf(pids: readonly number[], listeners: readonly Listener[]): Listener[] | null {
  const inodes = new Set<string>();
  let looked = false;
  let closed = false;
  for (const pid of pids) {
    let descriptors: string[];
    try {
      descriptors = readdirSync(`/proc/${pid}/fd`);
    } catch {
      closed ||= processIdentity(pid) !== null; // of another user
      continue;
    }
    looked = true;
    for (const descriptor of descriptors) {
      const inode = socketOf(`/proc/${pid}/fd/${descriptor}`);
      if (inode !== null) inodes.add(inode);
    }
  }
  return closed && !looked ? null : listeners.filter((one) => inodes.has(one.inode));
}

function socketOf(link: string): string | null {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(link))?.[1] ?? null;
  } catch {
    return null; // closed meanwhile
  }
}

/** Lines of proc_net_tcp(5): `sl local_address rem_address st … inode`; state 0A is LISTEN. */
function parse(table: string): Listener[] {
  return table.split('\n').flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    if (fields[3] !== '0A') return [];
    const [address = '', port = ''] = (fields[1] ?? '').split(':');
    return [{ port: Number.parseInt(port, 16), address: addressOf(address), inode: fields[9] ?? '' }];
  });
}

/** Hex words in host byte order; little-endian on every machine this runs on. */
function addressOf(hex: string): string {
  const bytes = Buffer.from(hex, 'hex');
  for (let word = 0; word < bytes.length; word += 4) bytes.subarray(word, word + 4).reverse();
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.every((byte) => byte === 0)) return '::';
  if (bytes.subarray(0, 15).every((byte) => byte === 0) && bytes[15] === 1) return '::1';
  if (bytes.toString('hex', 0, 12) === '00000000000000000000ffff') return bytes.subarray(12).join('.');
  return bytes.toString('hex').replaceAll(/(....)(?=.)/g, '$1:');
}

function readOptional(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return ''; // a kernel without IPv6
  }
}
