/** Steps: the smallest things an agent does on request. Idempotent by id; the agent journals them. */
import * as z from 'zod/mini';
import { digest, baseRef } from './instances.ts';

/** One command of a build recipe, run by `sh -c` in the source's root. */
export const buildCommand = z.object({
  /** Shown before its output: `npm ci`. */
  name: z.string(),
  run: z.string(),
  env: z._default(z.record(z.string(), z.string()), {}),
  /**
   * Directories (relative to the source root) kept between builds under `cache.key`; when the key is present on the
   * host they are put back and this command is skipped.
   */
  cache: z.optional(z.object({ key: z.string(), paths: z.array(z.string()) })),
});
export type BuildCommand = z.infer<typeof buildCommand>;

export const buildStep = z.object({
  kind: z.literal('build'),
  id: z.string(),
  app: z.object({ id: z.string(), name: z.string(), project: z.string(), environment: z.string() }),
  source: digest,
  base: baseRef,
  /** Tools that must exist before anything starts, and why (`this app has a requirements.txt`): one missing is `tool_missing`. */
  needs: z.array(z.object({ tool: z.string(), reason: z.string() })),
  commands: z.array(buildCommand),
  /** Files the stack adds to the output tree, by path (relative): text content. */
  files: z._default(z.record(z.string(), z.object({ text: z.string(), mode: z.int() })), {}),
  /** Caches shared by all builds of a project (`npm`, `pip`): name -> environment variable that points to it. */
  sharedCaches: z._default(z.record(z.string(), z.string()), {}),
  memoryMb: z.int(),
  timeoutMs: z.int(),
});
export type BuildStep = z.infer<typeof buildStep>;

/** Whether the router beside the agent would take an app's own configuration. */
export const routerCheckStep = z.object({ kind: z.literal('router-check'), id: z.string(), snippet: z.string() });
export type RouterCheckStep = z.infer<typeof routerCheckStep>;

export const step = z.discriminatedUnion('kind', [buildStep, routerCheckStep]);
export type Step = z.infer<typeof step>;

/** What a step that succeeded gives. */
export type StepYield = Pick<StepResult, 'tree' | 'problems'>;

export const stepResult = z.object({
  id: z.string(),
  ok: z.boolean(),
  /** build: digest of the output tree. */
  tree: z.optional(digest),
  /** router-check: what is wrong, by line of the snippet (from 1). */
  problems: z.optional(z.array(z.object({ line: z.int(), message: z.string() }))),
  error: z.optional(z.object({ code: z.string(), message: z.string(), hint: z.optional(z.string()) })),
  durationMs: z.number(),
});
export type StepResult = z.infer<typeof stepResult>;
