/** Gray releases in the HTTP API: releases that run beside the one in force, and the rules that lead requests to them. */
import * as z from 'zod/mini';
import { instanceCount } from '../app-spec.ts';

/** GET A/gray */
export const grayRuleView = z.object({
  id: z.string(),
  release: z.int(),
  /** As `paas gray add --match` takes it. */
  match: z.string(),
  by: z.string(),
  createdAt: z.string(),
});
export type GrayRuleView = z.infer<typeof grayRuleView>;

export const grayView = z.object({
  /** The release of all requests that no rule is about. */
  stable: z.nullable(z.int()),
  /** In their order: the first one that holds decides. */
  rules: z.array(grayRuleView),
  /** Instances by release and process type of what runs beside the stable release. */
  releases: z.record(z.string(), z.record(z.string(), instanceCount)),
  /**
   * What is being rolled out in the stable release's place. `percent` of the clients that no rule is about get it, where
   * it is a canary; null: it takes over instance by instance.
   */
  rollout: z.nullable(z.object({ release: z.int(), percent: z.nullable(z.number()) })),
});
export type GrayView = z.infer<typeof grayView>;

/** POST A/gray; DELETE A/gray/:id */
export const grayAdd = z.object({
  release: z.int().check(z.positive()),
  match: z.string().check(z.minLength(1), z.maxLength(2000)),
  /** Instances of each web process beside the stable release: now, or when the release is the stable one no more. Default: 1. */
  instances: z.optional(instanceCount),
});

/** POST A/gray/test: which release a request would get. */
export const grayTest = z.object({
  headers: z._default(z.record(z.string(), z.string()), {}),
  ip: z._default(z.string(), '127.0.0.1'),
});
export const grayTestAnswer = z.object({
  release: z.nullable(z.int()),
  /** The rule that decides; null: none holds. */
  rule: z.nullable(grayRuleView),
  why: z.string(),
});
export type GrayTestAnswer = z.infer<typeof grayTestAnswer>;
