/** Gray releases of an app, pure: rules in their order, and how many instances run for them beside the stable release. */
import type { Gray, GrayRule } from '../../shared/contracts/routes.ts';
import type { Formation, ScaleRequest } from '../../shared/contracts/api.ts';
import { defaultMemoryMb } from '../../shared/contracts/app-spec.ts';
import { PaasError } from '../../shared/errors.ts';
import { keptRunning } from './diff.ts';
import { scaleFormation } from './scale.ts';
import type { ReleaseProcesses } from './types.ts';

/** A rule as it is kept, with who made it. */
export interface KeptRule extends GrayRule {
  id: string;
  by: string;
  createdAt: number;
}

export interface GrayState {
  rules: KeptRule[];
  /**
   * Instances by release and process type, of all releases that rules lead to. Those of the stable one wait: they hold
   * from the moment that another release is stable, however that came about (`beside`).
   */
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
 * With another rule at the end. Its release gets `counts` instances, unless a rule leads to it already.
 * @throws PaasError conflict where there are too many
 */
export function withRule(state: GrayState, rule: KeptRule, counts: Record<string, number>): GrayState {
  if (state.rules.length >= maxRules) {
    throw new PaasError('conflict', `The app has ${maxRules} gray rules, and may have no more.`, {
      hint: '`paas gray remove` takes one away.',
    });
  }
  const rules = [...state.rules, rule];
  const releases = { ...state.releases, [rule.release]: state.releases[rule.release] ?? counts };
  if (Object.keys(releases).length > maxReleases) {
    throw new PaasError('conflict', `Rules lead to ${maxReleases} releases, and may lead to no more.`, {
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

/**
 * Another number of instances for a release beside the stable one.
 * @param processes of that release
 * @returns with its formation: memory and cpu are the app's
 * @throws PaasError conflict (it does not run beside), usage (memory and cpu), and as scaleFormation
 */
export function scaleGray(
  app: { name: string; stable: number | null; gray: GrayState; formation: Formation },
  release: number,
  processes: ReleaseProcesses,
  request: ScaleRequest,
  limits: { hostMemoryMb: number },
): { state: GrayState; formation: Formation; changed: string[] } {
  const counts = beside(app.gray, app.stable)[release];
  if (!counts) {
    const stable = release === app.stable;
    throw new PaasError(
      'conflict',
      `v${release} does not run beside the stable release${stable ? ': it is that' : ''}.`,
      {
        hint: stable
          ? 'Leave --release out.'
          : `\`paas gray ${app.name}\` shows what runs; \`paas gray add\` has a release run.`,
      },
    );
  }
  if (Object.values(request.processes).some(({ memoryMb, cpu }) => memoryMb !== undefined || cpu !== undefined)) {
    throw new PaasError('usage', 'Memory and cpu are the same for all releases of an app.', {
      hint: 'Leave --release out to change them.',
    });
  }
  const before: Formation = {};
  for (const [type, { kind, schedule }] of Object.entries(processes)) {
    const { memoryMb = defaultMemoryMb, cpu = null } = app.formation[type] ?? {};
    before[type] = { kind, schedule, memoryMb, cpu, instances: counts[type] ?? 0 };
  }
  const { formation, changed } = scaleFormation(before, request, limits);
  const scaled = Object.entries(formation).flatMap(([type, { kind, instances }]) =>
    keptRunning(kind) && (instances > 0 || counts[type] !== undefined) ? [[type, instances] as const] : [],
  );
  const releases = { ...app.gray.releases, [release]: Object.fromEntries(scaled) };
  return { state: { ...app.gray, releases }, formation, changed };
}

/** Instances by process type of the releases that run beside the stable one. */
export function beside({ releases }: GrayState, stable: number | null): GrayState['releases'] {
  return Object.fromEntries(Object.entries(releases).filter(([release]) => release !== String(stable)));
}

/** For the route table; undefined where there is nothing to look at. */
export function grayTable(state: GrayState, stable: number | null, canary: Gray | undefined): Gray | undefined {
  if (state.rules.length === 0 && !canary) return undefined;
  const releases = [...Object.keys(beside(state, stable)).map(Number), ...(canary?.releases ?? [])];
  // What people have decided comes before the share of a rollout.
  const rules = [...state.rules.map(({ release, all }): GrayRule => ({ release, all })), ...(canary?.rules ?? [])];
  return { releases, rules };
}
