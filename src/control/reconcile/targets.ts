import type { ObservedInstance } from '../../engines/port.ts';
import { failureOf } from '../rollout/machine.ts';

/**
 * Whether as many instances as wanted serve, by process type, and the one that keeps them from it, pure. One that was
 * healthy may be so again: it does so only where it and its like are all that is missing. One that is to be replaced says
 * nothing of what comes.
 * @param of.serves whether routers know it, where they have to
 * @param of.counts whether its failure is one of this; by default each is
 */
export function judgeTargets(
  staying: readonly ObservedInstance[],
  targets: Readonly<Record<string, number>>,
  of: { serves: (instance: ObservedInstance) => boolean; counts?: (instance: ObservedInstance) => boolean },
): { reached: boolean; failed: ObservedInstance | undefined } {
  const failing = staying.filter((i) => !i.replacing && failureOf(i) !== null && (of.counts?.(i) ?? true));
  const short = Object.entries(targets).flatMap(([type, target]) => {
    const serving = staying.filter((i) => i.processType === type && i.state === 'healthy' && i.ready && of.serves(i));
    return serving.length < target ? [{ type, missing: target - serving.length }] : [];
  });
  const failingOf = (type: string) => failing.filter((i) => i.processType === type);
  const hopeless =
    !staying.some((i) => i.replacing) && short.every(({ type, missing }) => failingOf(type).length >= missing);
  const failed =
    failing.find((i) => !i.wasHealthy) ?? (hopeless ? short.flatMap(({ type }) => failingOf(type))[0] : undefined);
  return { reached: short.length === 0, failed };
}
