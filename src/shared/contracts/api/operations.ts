/** Logs, events, one-off commands, hosts, clouds and base images in the HTTP API (contracts/api.ts). */
import * as z from 'zod/mini';
import { label, memorySize, processText } from '../app-spec.ts';
import { digest } from '../instances.ts';

const iso = z.string();

/* ---- logs and events ---- */

/**
 * GET A/logs: application/x-ndjson, a logLine or logGap a line, oldest first. Query: n (tail), since, until (ISO),
 * process, instance, release, source, grep, follow=1, cursor. With follow, `{"cursor":"…"}` lines come now and then; a
 * reconnecting client sends the last one back and misses nothing.
 */
export const logLine = z.object({
  ts: iso,
  app: z.string(),
  process: z.string(),
  instance: z.string(),
  release: z.nullable(z.int()),
  source: z.enum(['app', 'router', 'build', 'platform']),
  stream: z.enum(['stdout', 'stderr']),
  seq: z.int(),
  line: z.string(),
  /** A piece of a line over 64 KiB. */
  partial: z.optional(z.boolean()),
});
export type LogLine = z.infer<typeof logLine>;
export const logGap = z.object({
  /** `count` lines are missing (at least); `bytes` where it is known; instance `*`: of all instances. */
  gap: z.object({ instance: z.string(), from: iso, to: iso, count: z.int(), bytes: z.optional(z.int()) }),
});
export type LogGap = z.infer<typeof logGap>;

/** GET A/events, GET /v1/events: {events}; GET A/events/stream, GET /v1/events/stream: server-sent events (id = event id). */
export const eventRow = z.object({
  ts: iso,
  id: z.string(),
  /** Principal (`key:local-admin`), or `platform`. */
  actor: z.string(),
  kind: z.string(),
  app: z.nullable(z.string()),
  target: z.nullable(z.string()),
  message: z.string(),
  details: z.record(z.string(), z.unknown()),
});
export type EventRow = z.infer<typeof eventRow>;
export const eventsResponse = z.object({ events: z.array(eventRow) });

/* ---- one-off commands ---- */

/**
 * POST A/sessions -> sessionResponse; then WebSocket GET `path` (signed): frames are the sessionTaken, sessionOutput,
 * sessionExit, sessionInput and sessionSignal messages of contracts/agent.ts as JSON text. `run` with detach answers the instance's
 * name instead and its output goes to the logs.
 */
export const sessionRequest = z.object({
  kind: z.enum(['run', 'exec']),
  /** exec: `web.1` */
  instance: z.optional(z.string()),
  argv: z.array(processText).check(z.minLength(1)),
  tty: z.optional(z.object({ columns: z.int(), rows: z.int() })),
  detach: z._default(z.boolean(), false),
  memoryMb: z.optional(memorySize),
});
export const sessionResponse = z.object({
  session: z.nullable(z.string()),
  path: z.nullable(z.string()),
  instance: z.string(),
});

/* ---- hosts, clouds, clusters, bases ---- */

/** GET /v1/hosts; POST /v1/hosts {count} -> {hosts}; POST /v1/hosts/:name/drain; DELETE /v1/hosts/:name */
export const hostRow = z.object({
  name: z.string(),
  cluster: z.string(),
  cloud: z.string(),
  cloudId: z.nullable(z.string()),
  address: z.nullable(z.string()),
  roles: z.array(z.string()),
  /** creating, ready, unreachable, draining, drained, lost, deleting, error */
  state: z.string(),
  agentVersion: z.nullable(z.string()),
  capacity: z.object({ cpu: z.number(), memory: z.int() }),
  used: z.object({ cpu: z.number(), memory: z.int() }),
  lastSeen: z.nullable(iso),
  instances: z.int(),
  notices: z.array(z.string()),
});
export type HostRow = z.infer<typeof hostRow>;
export const hostsResponse = z.object({ hosts: z.array(hostRow) });
export const hostsCreate = z.object({ count: z.int().check(z.positive(), z.maximum(100)) });

/** GET /v1/clouds; POST /v1/clouds {name, driver, config}; POST /v1/clouds/:name/test; GET /v1/clusters */
export const cloudRow = z.object({
  name: z.string(),
  driver: z.string(),
  endpoint: z.nullable(z.string()),
  hosts: z.int(),
});
export const cloudsResponse = z.object({ clouds: z.array(cloudRow) });
export const cloudCreate = z.object({ name: label, driver: z.string(), config: z.record(z.string(), z.unknown()) });
export const cloudTest = z.object({
  ok: z.boolean(),
  checks: z.array(z.object({ name: z.string(), ok: z.boolean(), message: z.string() })),
});
export const clusterRow = z.object({
  name: z.string(),
  cloud: z.string(),
  engine: z.string(),
  hosts: z.int(),
  maxHosts: z.int(),
});
export const clustersResponse = z.object({ clusters: z.array(clusterRow) });

/** GET /v1/bases; PUT /v1/bases/:name {upload} where the tar was sent with POST /v1/uploads as one blob `digest` */
export const baseRow = z.object({
  name: z.string(),
  digest: z.string(),
  bytes: z.nullable(z.int()),
  createdAt: iso,
  apps: z.int(),
});
export const basesResponse = z.object({ bases: z.array(baseRow) });
export const baseCreate = z.object({ digest, bytes: z.int().check(z.nonnegative()) });
