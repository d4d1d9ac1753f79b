/** What runs for the gray rules of an app: releases beside the stable one, in numbers of their own. */
import { sameBatch, type ObservedInstance, type Workload } from '../../engines/port.ts';
import { defaultMemoryMb } from '../../shared/contracts/app-spec.ts';
import type { Control } from '../context.ts';
import { formationOf } from '../deploy/apps.ts';
import { beside, grayOf } from '../deploy/gray.ts';
import type { ReleaseProcesses } from '../deploy/types.ts';
import { releaseRow } from '../deploy/push.ts';
import { decide, settle, type RolloutDecision, type RolloutInput } from '../rollout/machine.ts';
import { withStandIns } from '../rollout/stand-ins.ts';
import type { AppRow, DeploymentRow } from '../store/schema.ts';
import { judgeTargets } from './targets.ts';

/** The instances of an app without those of its gray releases, which rollouts and steady state must not touch. */
export async function observeStable(control: Control, app: AppRow): Promise<ObservedInstance[]> {
  return stableOf(app, (await control.engine.observe(app.id)).instances);
}

export function stableOf(app: AppRow, instances: readonly ObservedInstance[]): ObservedInstance[] {
  const gray = beside(grayOf(app), app.release);
  return instances.filter(({ release }) => !Object.hasOwn(gray, release));
}

/**
 * The rollout machine's decision where rules lead to the old release: as many of its instances as are to run beside the
 * new one afterwards are none of the rollout's business from the beginning, so that who is pinned to it never misses it.
 * On the way back they are old ones as all others.
 */
export function decideBeside(app: AppRow, input: RolloutInput): RolloutDecision {
  const { from, to, state } = input;
  const isLeaving = from && from.release !== to.release && (state === 'running' || state === 'paused');
  const counts = isLeaving ? grayOf(app).releases[from.release] : undefined;
  if (!from || !counts) return decide(input);
  const oldTargets = { ...input.oldTargets };
  const stay = new Set<ObservedInstance>();
  for (const [type, count] of Object.entries(counts)) {
    oldTargets[type] = Math.max(0, (oldTargets[type] ?? 0) - count);
    const own = input.instances.filter((i) => i.processType === type && sameBatch(i, from) && !i.leaving);
    own.sort((a, b) => Number(b.state === 'healthy') - Number(a.state === 'healthy'));
    for (const instance of own.slice(0, count)) stay.add(instance);
  }
  const decision = decide({ ...input, oldTargets, instances: input.instances.filter((i) => !stay.has(i)) });
  const wanted = decision.wanted.map((entry) => {
    return sameBatch(entry, from) ? { ...entry, count: entry.count + (counts[entry.processType] ?? 0) } : entry;
  });
  return { ...decision, wanted };
}

/** Workloads of the gray releases. After a restart old instances stay until the new ones serve. */
export async function grayWorkloads(control: Control, app: AppRow): Promise<Workload[]> {
  const state = grayOf(app);
  if (state.rules.length === 0 || app.state !== 'active') return [];
  const { instances } = await control.engine.observe(app.id);
  const routed = await control.routing.reaching(app.id);
  const formation = formationOf(app);
  const workloads: Workload[] = [];
  for (const [text, counts] of Object.entries(beside(state, app.release))) {
    const release = Number(text);
    const row = await releaseRow(control, app.id, release);
    const processes = row ? (JSON.parse(row.processes) as ReleaseProcesses) : {};
    const own = instances.filter((instance) => instance.release === release);
    const { wanted } = settle({
      strategy: 'rolling',
      from: { release, epoch: app.epoch },
      oldTargets: counts,
      instances: own,
      routed,
    });
    for (const entry of withStandIns(wanted, own)) {
      const kind = processes[entry.processType]?.kind;
      const size = formation[entry.processType];
      if (kind) workloads.push({ ...entry, kind, memoryMb: size?.memoryMb ?? defaultMemoryMb, cpu: size?.cpu ?? null });
    }
  }
  return workloads;
}

/**
 * How far a scale of a release beside the stable one is; null for deployments about something else, and where that release
 * does not run beside any more.
 */
export function lookBeside(
  app: AppRow,
  { kind, release }: Pick<DeploymentRow, 'kind' | 'release'>,
  instances: readonly ObservedInstance[],
  serves: (instance: ObservedInstance) => boolean,
): { there: boolean; failed: ObservedInstance | undefined } | null {
  const counts = kind === 'scale' && release !== null ? beside(grayOf(app), app.release)[release] : undefined;
  if (!counts) return null;
  const own = instances.filter((instance) => instance.release === release);
  const staying = own.filter((instance) => !instance.leaving);
  const { reached, failed } = judgeTargets(staying, app.state === 'active' ? counts : {}, { serves });
  return { there: reached && staying.length === own.length, failed };
}
