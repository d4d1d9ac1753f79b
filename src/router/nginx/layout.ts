/** The router's directory: what the driver writes for nginx, and where they meet. */
import { join } from 'node:path';
import * as z from 'zod/mini';

export interface NginxFiles {
  configuration: string;
  /** Lua modules, as `paas/NAME.lua`. */
  lua: string;
  /** Control socket: HTTP with lines of text (admin.ts). */
  socket: string;
  /** The table as records, which nginx reads by itself when it begins (records.ts). */
  table: string;
  /** Identity of the master process and what it was started with (`running`). */
  running: string;
  pid: string;
  /** What nginx's configuration has of the table (shape.ts). */
  shape: string;
  /** Certificates and keys that the configuration names. */
  tls: string;
  /** Where TCP routes lead, and which connections are open (tcp-files.ts). */
  tcp: string;
  /** Copies of the region database (regions.ts). */
  regions: string;
  accessLogs: string;
  /** nginx's own error log: empty unless something is badly wrong; lines about single requests are not in it. */
  errors: string;
  /** What nginx said before it had read where its error log is. */
  output: string;
  /** nginx's temporary files. */
  temporary: string;
}

export function nginxFiles(directory: string): NginxFiles {
  const at = (name: string): string => join(directory, name);
  return {
    configuration: at('nginx.conf'),
    lua: at('lua'),
    socket: at('admin.sock'),
    table: at('table.txt'),
    running: at('running.json'),
    pid: at('nginx.pid'),
    shape: at('shape.json'),
    tls: at('tls'),
    tcp: at('tcp'),
    regions: at('regions'),
    accessLogs: at('access'),
    errors: at('error.log'),
    output: at('router.out'),
    temporary: at('tmp'),
  };
}

export const running = z.object({
  pid: z.int(),
  startTime: z.string(),
  bootId: z.string(),
  /** Fingerprint of everything that takes a new process to change. */
  settings: z.string(),
  port: z.int(),
  tlsPort: z.optional(z.int()),
});
export type Running = z.infer<typeof running>;

/** How much nginx can count: endpoints in the table or draining, and releases with traffic. */
export const maxSlots = 65_536;
export const maxCounters = 32_768;
