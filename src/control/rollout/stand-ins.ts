/**
 * Instances that are to be replaced (`paas restart`, a drained host, another size), pure: each leaves when a fresh one of
 * its batch stands in for it, one at a time. It is the same beside a rollout, in the midst of one, and for gray releases.
 */
import { sameBatch, type ObservedInstance } from '../../engines/port.ts';
import type { Wanted } from './machine.ts';

/** The counts, with one more of a batch while one of its instances waits to be replaced and nothing stands in for it. */
export const withStandIns = (wanted: readonly Wanted[], instances: readonly ObservedInstance[]): Wanted[] =>
  wanted.map((entry) => ({ ...entry, count: entry.count + standIns(entry, instances) }));

function standIns(entry: Wanted, instances: readonly ObservedInstance[]): number {
  // Those of a batch that is on its way out need nobody in their place.
  if (entry.count === 0) return 0;
  const staying = instances.filter((i) => i.processType === entry.processType && sameBatch(i, entry) && !i.leaving);
  if (!staying.some((i) => i.replacing)) return 0;
  const fresh = staying.filter((i) => !i.replacing);
  const standsIn = staying.length > entry.count && fresh.every((i) => i.state === 'healthy' && i.ready);
  return standsIn ? 0 : 1;
}
