/**
 * Apps, pushes, deployments, config, routes, releases and rollouts in the HTTP API (contracts/api.ts).
 * App paths begin with /v1/projects/:project/environments/:environment/apps/:app (below: A).
 */
import * as z from 'zod/mini';
import {
  appSpec,
  commandLine,
  configMap,
  instanceCount,
  label,
  memorySize,
  processKind,
  canaryPlan,
  routerSettings,
  strategy,
} from '../app-spec.ts';
import { digest, instanceExit, instanceState } from '../instances.ts';

const iso = z.string();

/** GET /v1/apps?project=&environment= */
export const appSummary = z.object({
  name: z.string(),
  project: z.string(),
  environment: z.string(),
  /** deploying, healthy, degraded, down, stopped, empty (no release yet), destroying */
  state: z.string(),
  release: z.nullable(z.int()),
  instances: z.object({ desired: z.int(), healthy: z.int() }),
  urls: z.array(z.string()),
  /** Its instances get no requests: each is answered with 503 and a page. */
  maintenance: z.boolean(),
});
export type AppSummary = z.infer<typeof appSummary>;
export const appsResponse = z.array(appSummary);

export const formation = z.record(
  z.string(),
  z.object({
    kind: processKind,
    instances: z.int(),
    memoryMb: z.int(),
    cpu: z.nullable(z.number()),
    schedule: z.nullable(z.string()),
  }),
);
export type Formation = z.infer<typeof formation>;

/** What an app's routers answered lately: since `since`, some minutes ago or when the control plane began. */
export const appTraffic = z.object({
  since: iso,
  /** Releases that had requests, or have some under way; the newest first. */
  releases: z.array(
    z.object({
      release: z.int(),
      requests: z.int(),
      /** By the class of their status, 1xx to 5xx. */
      classes: z.array(z.int()),
      /** ms; null without requests. */
      p50: z.nullable(z.number()),
      p95: z.nullable(z.number()),
      p99: z.nullable(z.number()),
      /** Requests and connections under way. */
      open: z.int(),
    }),
  ),
});
export type AppTraffic = z.infer<typeof appTraffic>;

/** GET A */
export const appDetail = z.extend(appSummary, {
  id: z.string(),
  createdAt: iso,
  stack: z.nullable(z.string()),
  base: z.nullable(z.string()),
  formation,
  routes: z.array(z.string()),
  /** Router ports of `service` processes: process type -> port. */
  ports: z.record(z.string(), z.int()),
  deployment: z.nullable(z.string()),
  traffic: appTraffic,
  /** In force at the routers; {}: their defaults. */
  router: routerSettings,
  maintenanceBy: z.nullable(z.object({ by: z.string(), since: iso, page: z.boolean() })),
  /** Has nginx configuration of its own (`paas routes nginx`). */
  nginx: z.boolean(),
});
export type AppDetail = z.infer<typeof appDetail>;

/** POST A/pushes */
export const pushRequest = z.object({
  source: z.object({
    tree: digest,
    /** Where it came from, for `paas releases`: kind, url, ref, commit, dirty. */
    provenance: z._default(z.record(z.string(), z.union([z.string(), z.boolean()])), {}),
  }),
  spec: appSpec,
  /** Config names whose values the server makes at the first push (app.json `generator: secret`). */
  generated: z._default(z.array(z.string()), []),
  strategy: z.optional(strategy),
  maxInFlight: z.optional(z.int().check(z.positive())),
  ...canaryPlan,
  /** Give the app no address at its first push. */
  noRoute: z._default(z.boolean(), false),
  /** Counts, memory and cpu given as flags: they apply always, not only where the manifest changed. */
  overrides: z._default(
    z.record(
      z.string(),
      z.object({
        instances: z.optional(instanceCount),
        memoryMb: z.optional(memorySize),
        cpu: z.optional(z.number().check(z.positive())),
        command: z.optional(commandLine),
      }),
    ),
    {},
  ),
  config: z._default(configMap, {}),
  message: z._default(z.string().check(z.maxLength(2000)), ''),
  /** What to do when a deployment of this app is under way. */
  concurrent: z._default(z.enum(['supersede', 'wait']), 'supersede'),
});
export type PushRequest = z.input<typeof pushRequest>;

/** POST A/plans: the same body; nothing is changed anywhere. */
export const pushPlan = z.object({
  app: z.string(),
  changed: z.boolean(),
  plan: z.array(
    z.object({ action: z.string(), target: z.string(), from: z.nullable(z.string()), to: z.nullable(z.string()) }),
  ),
});
export type PushPlan = z.infer<typeof pushPlan>;

export const deploymentState = z.enum([
  'queued',
  'building',
  'releasing',
  'rolling',
  'succeeded',
  'failed',
  'cancelled',
  'superseded',
]);
export type DeploymentState = z.infer<typeof deploymentState>;

/** GET A/deployments/:id; the answer to every change that is rolled out. */
export const deployment = z.object({
  id: z.string(),
  kind: z.enum(['push', 'config', 'rollback', 'scale', 'restart', 'start', 'stop']),
  app: z.string(),
  project: z.string(),
  environment: z.string(),
  state: deploymentState,
  changed: z.boolean(),
  release: z.nullable(z.int()),
  url: z.nullable(z.string()),
  build: z.nullable(z.object({ stack: z.string(), cached: z.boolean(), durationMs: z.number() })),
  rollout: z.nullable(z.object({ id: z.string(), state: z.string() })),
  error: z.nullable(
    z.object({ code: z.string(), message: z.string(), hint: z.string(), details: z.record(z.string(), z.unknown()) }),
  ),
  createdAt: iso,
  finishedAt: z.nullable(iso),
});
export type Deployment = z.infer<typeof deployment>;

/**
 * GET A/deployments/:id/stream: server-sent events. `event: progress` carries one of these; `event: end` carries the
 * final Deployment. `kind` is the event's kind (`build.started`, `instance.healthy`, …) or `output` for a build's line.
 */
export const progress = z.object({
  ts: iso,
  kind: z.string(),
  message: z.string(),
  details: z.record(z.string(), z.unknown()),
});
export type Progress = z.infer<typeof progress>;

/** GET A/instances (with ?all=1 also the ended ones that are still known) */
export const instanceRow = z.object({
  name: z.string(),
  id: z.string(),
  type: z.string(),
  release: z.int(),
  state: instanceState,
  ready: z.boolean(),
  host: z.nullable(z.string()),
  address: z.nullable(z.string()),
  port: z.nullable(z.int()),
  startedAt: z.nullable(iso),
  restarts: z.int(),
  /** Cores in use, MiB in use; null while unknown. */
  cpu: z.nullable(z.number()),
  memory: z.nullable(z.number()),
  memoryLimit: z.int(),
  message: z.nullable(z.string()),
  exit: z.nullable(instanceExit),
});
export type InstanceRow = z.infer<typeof instanceRow>;
export const instancesResponse = z.array(instanceRow);

/** GET A/formation -> formation; PATCH A/formation -> {formation, deployment} */
export const scaleRequest = z.object({
  /** A release that runs beside the stable one for gray rules; absent: the formation of the app. */
  release: z.optional(z.int().check(z.positive())),
  processes: z.record(
    label,
    z.object({
      instances: z.optional(instanceCount),
      /** Relative change; applied atomically on the server. */
      delta: z.optional(z.int()),
      memoryMb: z.optional(memorySize),
      /** null takes the limit away. */
      cpu: z.optional(z.nullable(z.number().check(z.positive()))),
    }),
  ),
});
export type ScaleRequest = z.infer<typeof scaleRequest>;
/** `deployment` is null where nothing changed. Its end means: the asked-for instances are healthy, the others gone. */
export const scaleResponse = z.object({ formation, deployment: z.nullable(deployment) });

/** POST A/restart; both absent: every instance, one after the other. */
export const restartRequest = z.object({ process: z.optional(z.string()), instance: z.optional(z.string()) });
/** POST A/stop, POST A/start, POST A/restart, POST A/rollback -> {deployment} (null: nothing to do) */
export const deploymentResponse = z.object({ deployment: z.nullable(deployment) });
export type DeploymentResponse = z.infer<typeof deploymentResponse>;

/** GET A/config -> values in clear (the CLI masks); PATCH A/config -> {version, changed, deployment} */
export const configResponse = z.object({ version: z.int(), values: configMap });
export const configRequest = z.object({
  set: z._default(configMap, {}),
  unset: z._default(z.array(z.string()), []),
  /** false: the next release takes it up. */
  restart: z._default(z.boolean(), true),
});
export const configChange = z.object({
  version: z.int(),
  changed: z.array(z.string()),
  deployment: z.nullable(deployment),
});
