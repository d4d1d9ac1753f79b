/**
 * The built-in engine: places workloads on hosts and states for each instance whether it runs, drains or stops. The
 * host's agent reads that as its assignment. It decides; the store that it is given remembers.
 */
import type { Engine, Observation, Workload } from '../port.ts';
import { place, type PlacedInstance, type PlacementHost } from './placement.ts';

export interface NewInstance {
  workload: Workload;
  ordinal: number;
  hostId: string | null;
}

/** What the engine needs remembered. One `change` is one transaction. */
export interface InstanceStore {
  snapshot(): Promise<{ hosts: PlacementHost[]; instances: PlacedInstance[] }>;
  change(
    appId: string,
    change: { create: NewInstance[]; assign: { id: string; hostId: string }[]; leave: string[] },
  ): Promise<void>;
  observe(appId: string): Promise<Observation>;
}

export class AgentsEngine implements Engine {
  readonly #store: InstanceStore;

  constructor(store: InstanceStore) {
    this.#store = store;
  }

  async apply(appId: string, workloads: readonly Workload[]): Promise<void> {
    const { hosts, instances } = await this.#store.snapshot();
    const { create, assign, leave } = place({ appId, hosts, instances, workloads });
    if (create.length + assign.length + leave.length === 0) return;
    await this.#store.change(appId, { create, assign, leave });
  }

  observe(appId: string): Promise<Observation> {
    return this.#store.observe(appId);
  }
}
