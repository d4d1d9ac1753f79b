/**
 * AppSpec: what the CLI makes out of `paas.yml`, a Cloud Foundry manifest, a Procfile and flags, and sends with a push.
 * All sizes are MiB, all durations milliseconds.
 */
import * as z from 'zod/mini';
import { dnsLabel } from '../ids.ts';
import { limits, outlier } from './routes.ts';

export const label = z.string().check(z.regex(dnsLabel, 'must be a DNS label: a-z, 0-9 and -, at most 63 characters'));

/** Text that a process is given: neither its environment nor its arguments can hold a NUL (execve(2)). */
export const processText = z
  .string()
  .check(z.refine((text) => !text.includes('\0'), 'must not contain a NUL character'));

/** Process type names become instance names (`web.1`) and config keys; same rule as a DNS label. */
export const processTypeName = label;

export const processKind = z.enum(['web', 'service', 'worker', 'cron', 'task']);
export type ProcessKind = z.infer<typeof processKind>;

export const health = z.object({
  /** `http`: 2xx/3xx at `path`; `port`: a TCP connection; `process`: the process lives. */
  type: z.enum(['http', 'port', 'process']),
  path: z.optional(z.string().check(z.startsWith('/'))),
  /** How long an instance may take to become healthy after its start. */
  timeoutMs: z._default(z.int().check(z.positive()), 60_000),
  /** Liveness and readiness interval once it is healthy. */
  intervalMs: z._default(z.int().check(z.positive()), 10_000),
});
export type Health = z.infer<typeof health>;

export const commandLine = processText.check(z.minLength(1));
export const instanceCount = z.int().check(z.nonnegative(), z.maximum(1000));
export const memorySize = z.int().check(z.minimum(16));

export const processSpec = z.object({
  kind: processKind,
  /** A shell command line (`sh -c`). Absent: the stack's default for this process type. */
  command: z.optional(commandLine),
  instances: z.optional(instanceCount),
  memoryMb: z.optional(memorySize),
  /** Cores; absent: no limit. */
  cpu: z.optional(z.number().check(z.positive())),
  health: z.optional(health),
  /** cron only: five fields, UTC. */
  schedule: z.optional(z.string()),
  /** SIGTERM to SIGKILL. Absent: the cluster's default. */
  graceMs: z.optional(z.int().check(z.nonnegative())),
});
export type ProcessSpec = z.infer<typeof processSpec>;

/** `host` or `host/path`; host may begin with `*.`. Checked in full by shared/routes.ts. */
export const routeText = z.string().check(z.minLength(1), z.maxLength(1024));

export const envName = z.string().check(z.regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be a name of letters, digits and _'));
export const configMap = z.record(envName, processText);

export const strategy = z.enum(['rolling', 'canary', 'recreate']);

/** How much worse than the old release a canary may answer before it goes back by itself. What is absent has its default. */
export const canaryAnalysis = z.object({
  /** Points that its share of answers with 5xx, of a hundred, may be higher. */
  maxErrors: z.optional(z.number().check(z.nonnegative(), z.maximum(100))),
  /** How many times as long its p95 may be. */
  maxLatency: z.optional(z.number().check(z.minimum(1), z.maximum(1000))),
  /** Requests of the new release before anything is judged. */
  minRequests: z.optional(z.int().check(z.minimum(1), z.maximum(1_000_000_000))),
});

/** How a canary rollout goes: shares of the requests in percent, growing; 100 is added where it is not the last. */
export const canaryPlan = {
  steps: z.optional(
    z.array(z.int().check(z.minimum(1), z.maximum(100))).check(
      z.minLength(1),
      z.maxLength(20),
      z.refine((steps) => steps.every((step, i) => i === 0 || step > steps[i - 1]!), 'must grow from step to step'),
    ),
  ),
  /** How long each step is watched before the next. */
  stepWaitMs: z.optional(z.int().check(z.nonnegative(), z.maximum(7 * 24 * 3600_000))),
  /** Each step waits for a person. */
  manual: z.optional(z.boolean()),
  analysis: z.optional(z.union([z.literal('off'), canaryAnalysis])),
};

/** A day at most: timers hold no more than 24.8 of them, and end at once with a longer time. */
const waitMs = z.int().check(z.positive(), z.maximum(86_400_000));

/** What routers do for the app besides routing; it belongs to the release that a push makes. */
export const routerSettings = z.object({
  /** What its instances speak; default `http`. */
  protocol: z.optional(z.enum(['http', 'h2c'])),
  limits: z.optional(z.extend(limits, { queueMs: z.optional(waitMs), responseMs: z.optional(waitMs) })),
  outlier: z.optional(z.extend(outlier, { ejectMs: waitMs })),
});
export type RouterSettings = z.infer<typeof routerSettings>;

export const appSpec = z.object({
  name: label,
  stack: z.optional(z.string()),
  base: z.optional(z.string()),
  build: z.optional(processText),
  release: z.optional(processText),
  processes: z.record(processTypeName, processSpec),
  routes: z.optional(z.array(routeText)),
  config: z.optional(configMap),
  rollout: z.optional(
    z.object({
      strategy: z.optional(strategy),
      maxInFlight: z.optional(z.int().check(z.positive())),
      ...canaryPlan,
    }),
  ),
  router: z.optional(routerSettings),
});
export type AppSpec = z.infer<typeof appSpec>;

export const defaultMemoryMb = 512;
