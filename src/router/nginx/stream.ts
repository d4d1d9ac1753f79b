/** TCP routes as nginx's `stream` block, and how many of their connections are open. */
import { bracketed } from '../addresses.ts';
import { inodesOf, tcpSockets } from './sockets.ts';

/** '' where there is no TCP route. Which instance gets a connection is said by lua/tcp.ts: '' closes it. */
export function streamText(ports: readonly number[], address: string, program: string): string {
  if (ports.length === 0) return '';
  const blocks = ports.map((port) => `  server {
    listen ${bracketed(address)}:${port} so_keepalive=on;
    proxy_pass $paas_instance;
  }`); // prettier-ignore
  return `stream {
  js_import tcp from ${JSON.stringify(program)};
  js_set $paas_instance tcp.choose;
  js_set $paas_ended tcp.ended;
  log_format paas_ended "";
  access_log /dev/null paas_ended if=$paas_ended;
  proxy_connect_timeout 5s;
  proxy_timeout 10d;
  proxy_half_close on;
  proxy_socket_keepalive on;
  tcp_nodelay on;
${blocks.join('\n')}
}
`;
}

/** States of proc(5), /proc/net/tcp: ESTABLISHED, SYN_SENT, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT. */
const openStates = new Set(['01', '02', '04', '05', '08']);

/**
 * Connections of the given processes by where they lead (`10.0.0.7:5432`), for the given places.
 * @param pids nginx's workers, old ones included; asked for only when needed
 */
export function openConnections(pids: () => readonly number[], places: ReadonlySet<string>): Map<string, number> {
  const open = new Map<string, number>();
  if (places.size === 0) return open;
  const found = tcpSockets().flatMap(({ remote, state, inode }) => {
    if (!openStates.has(state)) return [];
    const to = placeOf(remote);
    return places.has(to) ? [{ to, inode }] : [];
  });
  if (found.length === 0) return open;
  const own = new Set(pids().flatMap(inodesOf));
  for (const { to, inode } of found) if (own.has(inode)) open.set(to, (open.get(to) ?? 0) + 1);
  return open;
}

function placeOf(remote: string): string {
  const [address = '', port = ''] = remote.split(':');
  return `${readAddress(address)}:${Number.parseInt(port, 16)}`;
}

/** The kernel writes each 32 bits in the machine's order: little-endian on all that run this. */
function readAddress(hex: string): string {
  const bytes = Buffer.from(hex, 'hex');
  for (let at = 0; at < bytes.length; at += 4) bytes.subarray(at, at + 4).reverse();
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}
