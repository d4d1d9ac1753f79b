/** The router's directory: the files by which the driver (in the agent) and the router process know each other. */
import { join } from 'node:path';
import * as z from 'zod/mini';

/** How the problem begins that a router has whose successor does not serve. */
export const heirFails = 'The new router process does not serve';

/** How a process that takes over is to be started (handover.ts). */
export const next = z.object({ argv: z.array(z.string()).check(z.minLength(1)) });

export interface RouterFiles {
  /** Held by the living router: pid + start time + boot id. */
  lock: string;
  /** Control socket: HTTP, PUT /table, GET /status and GET /traffic. */
  socket: string;
  table: string;
  /** What the running router was started with (`running`). */
  running: string;
  /** Left by the driver before SIGHUP: `next`. */
  next: string;
  /** Where it listened for TLS last (`tlsPort`). */
  tlsPort: string;
  /** Why the last start failed (`failure`). */
  failure: string;
  /** Directory of the access logs. */
  accessLogs: string;
  /** Standard output and error of the process: empty unless it crashed. */
  output: string;
}

export function routerFiles(directory: string): RouterFiles {
  const at = (name: string): string => join(directory, name);
  return {
    lock: at('router.lock'),
    socket: at('admin.sock'),
    table: at('table.json'),
    running: at('running.json'),
    next: at('next.json'),
    tlsPort: at('tls-port.json'),
    failure: at('failure.json'),
    accessLogs: at('access'),
    output: at('router.out'),
  };
}

export const running = z.object({
  pid: z.int(),
  /** Fingerprint of everything that takes a new process to change. */
  settings: z.string(),
  /** Of them what says where it listens. */
  place: z.optional(z.string()),
  port: z.int(),
});

export const tlsPort = z.object({ port: z.int() });

/** Where a router listens, as `running` notes it: a process with another place cannot inherit its sockets. */
export const placeOf = (wish: { address: string; port: number; tlsPort?: number | undefined }): string =>
  JSON.stringify([wish.address, wish.port, wish.tlsPort ?? null]);

export const failure = z.object({
  pid: z.int(),
  error: z.object({ code: z.string(), message: z.string(), hint: z.string() }),
});
