import type { Formation, ScaleRequest } from '../../shared/contracts/api.ts';
import { PaasError } from '../../shared/errors.ts';
import { keptRunning, own } from './diff.ts';

export interface Scaled {
  formation: Formation;
  /** What changed, for the event: `web 2 -> 4`. */
  changed: string[];
  /** Memory or cpu changed: the instances have to be replaced. */
  rolls: boolean;
}

/**
 * Applies a scale request to a formation, pure.
 * @throws PaasError not_found (no such process type), usage (cron and task, below 0), no_capacity (larger than a host)
 */
export function scaleFormation(before: Formation, request: ScaleRequest, limits: { hostMemoryMb: number }): Scaled {
  const formation: Formation = { ...before };
  const changed: string[] = [];
  let rolls = false;
  for (const [type, wish] of Object.entries(request.processes)) {
    const present = own(before, type);
    if (!present) {
      const known = Object.keys(before).join(', ') || 'none yet';
      throw new PaasError('not_found', `There is no process type ${type}; there is ${known}.`, {
        hint: 'See `paas scale`.',
      });
    }
    const counts = wish.instances !== undefined || wish.delta !== undefined;
    if (counts && !keptRunning(present.kind)) {
      throw new PaasError(
        'usage',
        `${type} is a ${present.kind}: it runs when its time comes and has no number of instances.`,
      );
    }
    const instances = wish.instances ?? present.instances + (wish.delta ?? 0);
    if (instances < 0)
      throw new PaasError(
        'usage',
        `${type} has ${present.instances} instances; ${wish.delta ?? 0} is too many to take away.`,
      );
    if (instances > 1000) throw new PaasError('usage', `${type} may have at most 1000 instances.`);
    const memoryMb = wish.memoryMb ?? present.memoryMb;
    refuseTooLarge(type, memoryMb, limits);
    const cpu = wish.cpu === undefined ? present.cpu : wish.cpu;
    if (instances !== present.instances) changed.push(`${type} ${present.instances} -> ${instances}`);
    if (memoryMb !== present.memoryMb) changed.push(`${type} memory ${present.memoryMb}M -> ${memoryMb}M`);
    if (cpu !== present.cpu) changed.push(`${type} cpu ${present.cpu ?? 'no limit'} -> ${cpu ?? 'no limit'}`);
    rolls ||= keptRunning(present.kind) && (memoryMb !== present.memoryMb || cpu !== present.cpu);
    formation[type] = { ...present, instances, memoryMb, cpu };
  }
  return { formation, changed, rolls };
}

/** @throws PaasError no_capacity where no host could ever hold it */
export function refuseTooLarge(what: string, memoryMb: number, { hostMemoryMb }: { hostMemoryMb: number }): void {
  if (memoryMb <= hostMemoryMb) return;
  throw new PaasError('no_capacity', `${what} asks for ${memoryMb} MiB, but a host has ${hostMemoryMb} MiB.`);
}
