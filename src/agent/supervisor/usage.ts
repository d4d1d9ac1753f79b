/** Measures what instances use, and ends those over their memory limit where the kernel does not. */
import { listProcesses, type ProcessEntry } from '../../shared/processes.ts';
import type { Limits } from '../limits/port.ts';
import { exactMemoryMb } from '../limits/watch.ts';
import type { Log } from '../log.ts';
import type { Instance } from './instance.ts';

const kernelMs = 5000;
const watchMs = 500;

/** @returns ends the measuring */
export function watchUsage(instances: ReadonlyMap<string, Instance>, limits: Limits, log: Log): () => void {
  const watching = limits.enforcedBy === 'watch';
  let last = performance.now();
  const timer = setInterval(
    () => {
      const now = performance.now();
      const seconds = (now - last) / 1000;
      last = now;
      let table: ProcessEntry[] | undefined;
      for (const instance of instances.values()) {
        instance.keep();
        if (!instance.record.running) continue;
        const members = (): ProcessEntry[] => instance.members((table ??= listProcesses()));
        const { memoryMb } = instance.sample(members, seconds);
        const limit = instance.record.spec.memoryMb;
        if (watching && memoryMb > limit && exactMemoryMb(members()) > limit) {
          log.warn('an instance exceeds its memory limit', { instance: instance.id, memoryMb, limit });
          instance.exceeded();
        }
      }
    },
    watching ? watchMs : kernelMs,
  );
  timer.unref();
  return () => clearInterval(timer);
}
