/** What `paas rollout …` shows. */
import type { DeploymentState, RolloutResponse, RolloutView } from '../../shared/contracts/api.ts';
import type { AppScope, Context } from '../command/context.ts';
import { appCommand, type Command } from '../command/define.ts';
import { paintState } from '../ui/states.ts';
import { ago } from '../ui/times.ts';
import { showAnalysis } from '../ui/traffic.ts';
import { change } from './done.ts';

const waits: Partial<Record<DeploymentState, string>> = {
  queued: 'what is under way before it',
  building: 'its build',
  releasing: 'its release command',
};

export function showRollout({ ui, app }: Context & { app: AppScope }, { rollout, deployment }: RolloutResponse): void {
  ui.show({ rollout, deployment }, () => {
    const isBefore = deployment?.rollout === null && deployment.state !== 'succeeded';
    if (isBefore) {
      ui.pairs([
        [deployment.kind.replace(/^./, (first) => first.toUpperCase()), deployment.id],
        ['State', paintState(ui.style, deployment.state)],
        ['Release', deployment.release === null ? '' : `v${deployment.release}`],
        ['Started', `${ago(deployment.createdAt)} ago`],
        ['Waits for', waits[deployment.state] ?? ''],
        ['Failed', deployment.error?.message ?? ''],
      ]);
      if (rollout) ui.line();
    }
    if (!rollout && !isBefore) ui.line(`${app.name} has had no rollout yet.`);
    if (rollout) {
      const { id, state, strategy, from, to, startedAt, waitsFor } = rollout;
      ui.pairs([
        ['Rollout', id],
        ['State', paintState(ui.style, state)],
        ['Release', `${from === null ? '' : `v${from} → `}v${to}`],
        ['Strategy', `${strategy}, at most ${rollout.maxInFlight} at once`],
        ...canaryPairs(rollout.canary),
        ['Started', `${ago(startedAt)} ago`],
        ['Waits for', waitsFor],
        ['Failed', rollout.error],
      ]);
      ui.line();
      ui.table(
        ['PROCESS', 'WANTED#', 'NEW HEALTHY#', 'NEW#', 'OLD#'],
        Object.entries(rollout.processes).map(([type, { target, newHealthy, newTotal, oldTotal }]) => [
          type,
          ...[target, newHealthy, newTotal, oldTotal].map(String),
        ]),
      );
      if (rollout.canary?.analysis) showAnalysis(ui, rollout.canary.analysis);
    }
  });
}

function canaryPairs(canary: RolloutView['canary']): [string, string][] {
  if (!canary) return [];
  const { steps, step, percent, reachedAt, waitMs } = canary;
  const since = reachedAt === null ? 'its instances start' : `reached ${ago(reachedAt)} ago`;
  const next = waitMs === null ? 'each waits for `paas rollout continue`' : `${waitMs / 1000} s each`;
  return [
    ['Steps', `${steps.map((share, i) => (i === step ? `[${share}]` : String(share))).join(' ')} %, ${next}`],
    ['Step', `${step + 1} of ${steps.length}, ${since}`],
    ['New release', `gets ${percent} % of the clients`],
  ];
}

/** `paas rollout pause`, `continue`, `cancel`. */
export function steeringCommand(verb: 'pause' | 'continue' | 'cancel', summary: string, done: string): Command {
  return appCommand({ summary }, async (context) => {
    const { app, ui } = context;
    const now = await change<RolloutResponse>(context, 'POST', `/rollout/${verb}`, {});
    ui.show({ ...now }, () => ui.line(`${done} \`paas rollout status${app.flags}\` shows how it goes.`));
    return 0;
  });
}
