/** Releases and rollouts in the HTTP API (A: the app's path). */
import * as z from 'zod/mini';
import { strategy } from '../app-spec.ts';
import { deployment } from './apps.ts';

const iso = z.string();

/** GET A/releases */
export const releaseRow = z.object({
  version: z.int(),
  createdAt: iso,
  by: z.string(),
  description: z.string(),
  /** Digest of the image's tree, shortened to 12 characters. */
  image: z.string(),
  current: z.boolean(),
  /** created, live (became healthy once), failed */
  state: z.string(),
});
export type ReleaseRow = z.infer<typeof releaseRow>;
export const releasesResponse = z.array(releaseRow);
export const rollbackRequest = z.object({ to: z.optional(z.int().check(z.positive())) });

const canaryFigures = {
  release: z.int(),
  requests: z.int(),
  /** Of a hundred, answered with 5xx. */
  errorPercent: z.number(),
  /** ms; null without requests. */
  p95: z.nullable(z.number()),
};

/** How a canary's releases answered at the step that was reached last. */
export const canaryAnalysisView = z.object({
  /** Index of that step, and the share of the requests that the new release gets in it. */
  step: z.int(),
  percent: z.int(),
  since: iso,
  /** off: nobody compares. undecided: the new release has had too few requests. errors, latency: why it goes back. */
  verdict: z.enum(['off', 'undecided', 'fine', 'errors', 'latency']),
  limits: z.nullable(z.object({ maxErrors: z.number(), maxLatency: z.number(), minRequests: z.int() })),
  new: z.object(canaryFigures),
  /** `sinceBegin`: since the rollout began, as the old release had too few requests in the step. */
  old: z.object({ ...canaryFigures, sinceBegin: z.boolean() }),
});
export type CanaryAnalysisView = z.infer<typeof canaryAnalysisView>;

/** GET A/rollout (null when none is known); POST A/rollout/{pause,continue,cancel} */
export const rolloutView = z.object({
  id: z.string(),
  state: z.enum(['running', 'paused', 'cancelling', 'succeeded', 'failed', 'cancelled', 'superseded']),
  strategy,
  maxInFlight: z.int(),
  canary: z.nullable(
    z.object({
      steps: z.array(z.int()),
      /** Index of the step under way. */
      step: z.int(),
      /** The share of the requests that the new release gets now. */
      percent: z.int(),
      /** Since when the step's instances serve; null while they start. */
      reachedAt: z.nullable(iso),
      /** null: a person decides (`paas rollout continue`). */
      waitMs: z.nullable(z.int()),
      /** null before the first step is reached, and when the rollout is over. */
      analysis: z.nullable(canaryAnalysisView),
    }),
  ),
  /** Why it went back, or goes. */
  error: z.nullable(z.string()),
  /** Its code, which says how a command that waits for the rollout ends. */
  errorCode: z.nullable(z.string()),
  from: z.nullable(z.int()),
  to: z.int(),
  startedAt: iso,
  waitsFor: z.string(),
  processes: z.record(
    z.string(),
    z.object({ target: z.int(), newHealthy: z.int(), newTotal: z.int(), oldTotal: z.int() }),
  ),
});
export type RolloutView = z.infer<typeof rolloutView>;

/** GET A/rollout; POST A/rollout/pause, continue, cancel */
export const rolloutResponse = z.object({
  /** The one under way, else the last one; null also while what was begun last has not come so far. */
  rollout: z.nullable(rolloutView),
  /** What was begun last: its rollout is null while it is queued, built or released, and where it ended before. */
  deployment: z.nullable(deployment),
});
export type RolloutResponse = z.infer<typeof rolloutResponse>;
