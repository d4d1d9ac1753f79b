/** Gray releases of an app, pure: rules in their order, and how many instances run for them beside the stable release. */
import type { Gray, GrayRule } from '../../shared/contracts/routes.ts';
import { PaasError } from '../../shared/errors.ts';

/** A rule as it is kept, with who made it. */
export interface KeptRule extends GrayRule {
  id: string;
  by: string;
  createdAt: number;
}

export interface GrayState {
  rules: KeptRule[];
  /** Instances by release and process type. */
  releases: Record<string, Record<string, number>>;
}

const maxRules = 100;
const maxReleases = 5;

export const grayOf = (app: { gray: string | null }): GrayState =>
  app.gray === null ? { rules: [], releases: {} } : (JSON.parse(app.gray) as GrayState);

/** As the column keeps it. */
export const grayColumn = (state: GrayState): string | null =>
  state.rules.length === 0 ? null : JSON.stringify(state);

/**
 * With another rule at the end. A release that is not the stable one gets `counts` instances, unless it runs already.
 * @throws PaasError conflict where there are too many
 */
export function withRule(
  state: GrayState,
  rule: KeptRule,
  stable: number | null,
  counts: Record<string, number>,
): GrayState {
  if (state.rules.length >= maxRules) {
    throw new PaasError('conflict', `The app has ${maxRules} gray rules, and may have no more.`, {
      hint: '`paas gray remove` takes one away.',
    });
  }
  const rules = [...state.rules, rule];
  if (rule.release === stable) return { ...state, rules };
  const releases = { ...state.releases, [rule.release]: state.releases[rule.release] ?? counts };
  if (Object.keys(releases).length > maxReleases) {
    throw new PaasError('conflict', `${maxReleases} releases run beside the stable one, and no more may.`, {
      hint: '`paas gray` lists them; `paas gray remove` ends those that no rule leads to any more.',
    });
  }
  return { rules, releases };
}

/** Without a rule, and without the instances of a release that no rule leads to any more. @throws PaasError not_found */
export function withoutRule(state: GrayState, id: string): GrayState {
  const rules = state.rules.filter((rule) => rule.id !== id);
  if (rules.length === state.rules.length)
    throw new PaasError('not_found', `There is no gray rule ${id}.`, { hint: 'See `paas gray`.' });
  const led = new Set(rules.map(({ release }) => String(release)));
  return {
    rules,
    releases: Object.fromEntries(Object.entries(state.releases).filter(([release]) => led.has(release))),
  };
}

/** Releases that run beside the stable one. */
export const grayReleases = (state: GrayState): number[] => Object.keys(state.releases).map(Number);

/** For the route table; undefined where there is nothing to look at. */
export function grayTable(state: GrayState, canary: Gray | undefined): Gray | undefined {
  const releases = [...grayReleases(state), ...(canary?.releases ?? [])];
  if (releases.length === 0) return undefined;
  // What people have decided comes before the share of a rollout.
  const rules = [...state.rules.map(({ release, all }): GrayRule => ({ release, all })), ...(canary?.rules ?? [])];
  return { releases, rules };
}
