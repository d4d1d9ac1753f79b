/** A canary's steps: when they are reached, what their requests say, when they are over. */
import { PaasError } from '../../shared/errors.ts';
import type { Control } from '../context.ts';
import { appFlags } from '../deploy/apps.ts';
import { advanceCanary, canaryOf, servedPercent, waitText, type Canary } from '../rollout/canary.ts';
import { compare, reasonText } from '../rollout/analysis.ts';
import type { RolloutDecision } from '../rollout/machine.ts';
import type { AppRow, DeploymentRow, RolloutRow } from '../store/schema.ts';
import { note } from './note.ts';

/**
 * Whether the new release of a canary answers worse than it may, at the step that was reached last: also while it is
 * paused, waits for a person, or the next step's instances start. Answers why it has to go back, or null.
 */
export function judgeCanary(control: Control, app: AppRow, row: RolloutRow): PaasError | null {
  const canary = canaryOf(row);
  const { from_release: from, to_release: to } = row;
  if (!canary || from === null) return null;
  control.canaries.watch(row);
  const window = control.canaries.window(row.id);
  if (!window || !canary.analysis) return null;
  const comparison = compare(window, canary.analysis);
  const { verdict } = comparison;
  if (verdict === 'undecided' || verdict === 'fine') return null;
  const { step, percent } = window;
  const reason = reasonText(comparison, canary.analysis, { step, percent, from, to });
  const { fresh, old, oldSinceBegin } = comparison;
  return new PaasError('canary_failed', `${reason}.`, {
    hint: `v${from} serves. What v${to} said: \`paas logs${appFlags(app)} --release v${to}\`. \`--no-analysis\` does not compare.`,
    details: { step, percent, verdict, new: { release: to, ...fresh }, old: { release: from, ...old, oldSinceBegin } },
  });
}

/**
 * A canary's step goes on when its time has come. Answers what it waits for, where that is not the machine's business.
 * Requests follow: the route table is made anew from the share that was reached.
 */
export async function moveCanary(
  control: Control,
  app: AppRow,
  deployment: DeploymentRow,
  row: RolloutRow,
  { state, stepReached = false }: RolloutDecision,
): Promise<string | null> {
  const stored = canaryOf(row);
  if (!stored || (state !== 'running' && state !== 'paused')) return null;
  const canary = await rewatch(control, row, stored);
  if (state !== 'running' || canary === null) return null;
  const next = canary === stored ? advanceCanary(canary, stepReached, Date.now()) : null;
  if (next) {
    const changed = await store(control, row, next);
    if (changed && next.reachedAt !== null) {
      control.canaries.begin(row.id, next.step, servedPercent(next), next.reachedAt);
      const text = `${servedPercent(next)} % of the requests go to v${row.to_release}`;
      await note(control, app, deployment, 'rollout.step', text);
    }
    control.wake.routes();
    control.wake.app(app.id);
  }
  const now = next ?? canary;
  return now.reachedAt === null ? null : waitText(now);
}

/**
 * A control plane that began anew in the middle of a step has not seen its requests: it watches the step from its
 * beginning. Answers the canary as it is then; null where somebody else has moved it meanwhile.
 */
async function rewatch(control: Control, row: RolloutRow, canary: Canary): Promise<Canary | null> {
  const { reachedAt, waitMs, step } = canary;
  if (reachedAt === null) return canary;
  const now = Date.now();
  if (!control.canaries.begin(row.id, step, servedPercent(canary), now)) return canary;
  if (waitMs === null || !canary.analysis) return canary;
  const anew = { ...canary, reachedAt: now };
  return (await store(control, row, anew)) ? anew : null;
}

/** Whether the canary was still as the row has it. */
async function store(control: Control, row: RolloutRow, canary: Canary): Promise<boolean> {
  const changed = await control.store.db
    .updateTable('rollouts')
    .set({ canary: JSON.stringify(canary) })
    .where('id', '=', row.id)
    .where('canary', '=', row.canary)
    .where('state', 'in', ['running', 'paused'])
    .executeTakeFirst();
  return changed.numUpdatedRows > 0n;
}
