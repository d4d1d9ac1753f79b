/** A canary as the API shows it. */
import type { RolloutView } from '../../shared/contracts/api.ts';
import type { CanaryWindows } from '../traffic/windows.ts';
import type { RolloutRow } from '../store/schema.ts';
import { compare, defaultLimits } from './analysis.ts';
import { canaryOf, servedPercent } from './canary.ts';

export function canaryView(windows: CanaryWindows, row: RolloutRow): RolloutView['canary'] {
  const canary = canaryOf(row);
  if (!canary) return null;
  const { steps, step, waitMs, reachedAt } = canary;
  const since = reachedAt === null ? null : new Date(reachedAt).toISOString();
  const analysis = analysisView(windows, row, canary.analysis ?? null);
  return { steps, step, percent: servedPercent(canary), reachedAt: since, waitMs, analysis };
}

function analysisView(
  windows: CanaryWindows,
  row: RolloutRow,
  limits: typeof defaultLimits | null,
): NonNullable<RolloutView['canary']>['analysis'] {
  const window = windows.window(row.id);
  if (!window || row.from_release === null) return null;
  const { fresh, old, oldSinceBegin, verdict } = compare(window, limits ?? defaultLimits);
  return {
    ...{ step: window.step, percent: window.percent, since: new Date(window.since).toISOString(), limits },
    verdict: limits === null ? 'off' : verdict,
    new: { release: row.to_release, ...fresh },
    old: { release: row.from_release, ...old, sinceBegin: oldSinceBegin },
  };
}
