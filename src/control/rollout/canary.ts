/**
 * The steps of a canary rollout, pure. At each step a share of the instances is new and, once these serve, so is a share
 * of the requests; the old release stays in full until the last step is reached.
 *
 *   step 0: instances start ─► serve (reached) ─► waited, or told to go on ─► step 1 … ─► last step reached: succeeded
 */

import { defaultLimits, type AnalysisLimits } from './analysis.ts';

export interface Canary {
  /** Percent, growing; the last is 100. */
  steps: number[];
  /** How long each step is watched; null: until a person says so. */
  waitMs: number | null;
  step: number;
  /** When the instances of this step served (ms since 1970); null: not yet. */
  reachedAt: number | null;
  /** How much worse than the old release the new one may answer (analysis.ts); null: nobody compares. */
  analysis?: AnalysisLimits | null;
}

/** Out of a rollout's row; null for other strategies. */
export const canaryOf = (row: { canary: string | null }): Canary | null =>
  row.canary === null ? null : (JSON.parse(row.canary) as Canary);

export const defaultSteps = [5, 25, 50, 100];
export const defaultWaitMs = 60_000;

export function newCanary(wish: {
  steps?: number[] | undefined;
  waitMs?: number | undefined;
  manual?: boolean | undefined;
  analysis?: 'off' | { [K in keyof AnalysisLimits]?: AnalysisLimits[K] | undefined } | undefined;
}): Canary {
  const steps = [...(wish.steps ?? defaultSteps)];
  if (steps.at(-1) !== 100) steps.push(100);
  const waitMs = wish.manual === true ? null : (wish.waitMs ?? defaultWaitMs);
  return { steps, waitMs, step: 0, reachedAt: null, analysis: limitsOf(wish.analysis) };
}

function limitsOf(wish: Parameters<typeof newCanary>[0]['analysis']): AnalysisLimits | null {
  if (wish === 'off') return null;
  const { maxErrors, maxLatency, minRequests } = { ...wish };
  return {
    maxErrors: maxErrors ?? defaultLimits.maxErrors,
    maxLatency: maxLatency ?? defaultLimits.maxLatency,
    minRequests: minRequests ?? defaultLimits.minRequests,
  };
}

/** The share of the instances that the step under way asks for, in percent. */
export const wantedPercent = ({ steps, step }: Canary): number => steps[step] ?? 100;

/** The share of the requests that goes to the new release now: that of the last step that was reached. */
export function servedPercent({ steps, step, reachedAt }: Canary): number {
  if (reachedAt !== null) return steps[step] ?? 100;
  return step === 0 ? 0 : (steps[step - 1] ?? 100);
}

/** Instances of the new release at a share: one at least, where any are wanted. */
export const canaryCount = (target: number, percent: number): number =>
  target === 0 ? 0 : Math.max(1, Math.ceil((target * percent) / 100));

/**
 * What follows at a moment.
 * @param serving whether all instances of the step serve
 * @returns the canary as it is from now on, or null where nothing changes
 */
export function advanceCanary(canary: Canary, serving: boolean, now: number): Canary | null {
  if (canary.reachedAt === null) return serving ? { ...canary, reachedAt: now } : null;
  if (canary.waitMs === null || now - canary.reachedAt < canary.waitMs) return null;
  return nextStep(canary);
}

/** On to the next step; the last one stays. */
export function nextStep(canary: Canary): Canary | null {
  return canary.step + 1 < canary.steps.length ? { ...canary, step: canary.step + 1, reachedAt: null } : null;
}

/** The same steps from the first on, for another release. */
export const anew = (canary: Canary): Canary => ({ ...canary, step: 0, reachedAt: null });

/** One line for people: what a step that is reached waits for. */
export function waitText({ steps, step, waitMs, reachedAt }: Canary): string {
  const where = `${steps[step] ?? 100} % of the requests go to the new release (step ${step + 1} of ${steps.length})`;
  if (waitMs === null) return `${where}; \`paas rollout continue\` goes on`;
  return `${where} until ${new Date((reachedAt ?? 0) + waitMs).toISOString()}`;
}
