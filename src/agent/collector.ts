/** Gives disk space back: trees and bases that neither the assignment nor a build cache names any more. */
import type { Assignment } from '../shared/contracts/agent.ts';
import type { Bases } from './bases.ts';
import { errorFields, type Log } from './log.ts';
import type { BuildCache } from './steps/build-cache.ts';
import type { Trees } from './trees/index.ts';

/** After the last change: a rollback just after a push should find what it needs, and a rollout should be over. */
const quietMs = 60_000;

export interface Collector {
  /** The assignment changed: collect once it has been quiet for a while. */
  soon(): void;
  close(): void;
}

export function createCollector(options: {
  assignment(): Assignment;
  trees: Trees;
  bases: Bases;
  cache: BuildCache;
  log: Log;
  quietMs?: number;
}): Collector {
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  const collect = async () => {
    const { generation, instances, keepTrees } = options.assignment();
    // Nothing was said yet of what to keep.
    if (generation === 0) return;
    const trees = new Set([...keepTrees, ...instances.map(({ image }) => image.tree), ...options.cache.roots()]);
    const bases = new Set(instances.map(({ image }) => image.base.digest));
    if (!(await options.trees.collect(trees, () => options.bases.collect(bases)))) soon();
  };
  const soon = () => {
    if (closed) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      collect().catch((error: unknown) => options.log.error('cannot collect garbage', errorFields(error)));
    }, options.quietMs ?? quietMs).unref();
  };

  return {
    soon,
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}
