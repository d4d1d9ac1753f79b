/** What control and agent say to each other about instances. */
import * as z from 'zod/mini';
import { health, processKind } from './app-spec.ts';
import { portNumber } from './routes.ts';

/** Life of an instance, as `paas ps` prints it. */
export const instanceState = z.enum([
  'pending',
  'starting',
  'healthy',
  'unhealthy',
  'draining',
  'stopped',
  'crashed',
  'lost',
]);
export type InstanceState = z.infer<typeof instanceState>;

export const digest = z.string().check(z.regex(/^[0-9a-f]{64}$/, 'must be a sha256 in lower-case hex'));

/** A base image a host offers: `host` itself, or an imported rootfs (tree or tar digest). */
export const baseRef = z.object({ name: z.string(), digest: z.string() });
export type BaseRef = z.infer<typeof baseRef>;

export const instanceSpec = z.object({
  /** `ins_…`: one per placement; a restart in place keeps it. */
  id: z.string(),
  /** `web.3` */
  name: z.string(),
  app: z.object({ id: z.string(), name: z.string(), project: z.string(), environment: z.string() }),
  release: z.int(),
  processType: z.string(),
  kind: processKind,
  image: z.object({ tree: digest, base: baseRef }),
  /** A shell command line. */
  command: z.string(),
  /** The whole app environment except what only the agent knows (PORT, HOME, TMPDIR). Secret: never logged. */
  env: z.record(z.string(), z.string()),
  memoryMb: z.int(),
  cpu: z.optional(z.number()),
  health,
  graceMs: z.int(),
  /** `always`: kept alive with back-off; `never`: tasks, cron runs and one-offs, which end by themselves. */
  restart: z.enum(['always', 'never']),
  /** `auto` is sandbox where it works on the host. */
  runtime: z.enum(['auto', 'process', 'sandbox']),
  /** Changing this restarts the process in place (`paas restart`). */
  restartToken: z._default(z.string(), ''),
});
export type InstanceSpec = z.infer<typeof instanceSpec>;

export const instanceExit = z.object({
  /** Exit status, or null when a signal ended it. */
  code: z.nullable(z.int()),
  signal: z.nullable(z.string()),
  /** exited: by itself; oom: over its memory limit; stopped: asked to; killed: SIGKILL after the grace period; unknown: status lost. */
  reason: z.enum(['exited', 'oom', 'stopped', 'killed', 'liveness', 'startup-timeout', 'start-failed', 'unknown']),
  at: z.string(),
  message: z.optional(z.string()),
  /** start-failed: the code of the error table for what kept it from starting, and what to do. */
  failure: z.optional(z.object({ code: z.string(), hint: z.string() })),
});
export type InstanceExit = z.infer<typeof instanceExit>;

export const instanceStatus = z.object({
  id: z.string(),
  state: z.enum(['pending', 'starting', 'healthy', 'unhealthy', 'stopped', 'crashed']),
  /** Whether it may be routed to; false while a readiness probe fails. */
  ready: z.boolean(),
  address: z.nullable(z.string()),
  port: z.nullable(portNumber),
  startedAt: z.nullable(z.string()),
  restarts: z.int(),
  /** What it waits for or why it failed, for people. */
  message: z.nullable(z.string()),
  /** The last end of the process, kept across restarts. */
  exit: z.nullable(instanceExit),
  /** Cores in use since the last report, and MiB resident. */
  cpu: z.number(),
  memoryMb: z.number(),
});
export type InstanceStatus = z.infer<typeof instanceStatus>;
