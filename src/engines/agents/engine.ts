/**
 * The built-in engine: places workloads on hosts and states for each instance whether it runs, drains or stops. The
 * host's agent reads that as its assignment. It decides; the store that it is given remembers.
 */
import type { Serial } from '../../shared/serial.ts';
import type { Engine, Observation, Workload } from '../port.ts';
import { place, type PlacedInstance, type PlacementHost } from './placement.ts';

export interface NewInstance {
  workload: Workload;
  ordinal: number;
  hostId: string | null;
}

/** The hosts and all instances that have not ended, at one moment. */
export interface Snapshot {
  hosts: PlacementHost[];
  instances: PlacedInstance[];
}

export interface Change {
  create: NewInstance[];
  assign: { id: string; hostId: string }[];
  leave: string[];
}

/** What the engine needs remembered. */
export interface InstanceStore {
  snapshot(): Promise<Snapshot>;
  /**
   * Carries out what `decide` makes of the present snapshot, in one transaction: two apps that are looked at at the same
   * moment do not give the same memory away twice. `decide` may be called more than once.
   */
  change(appId: string, decide: (now: Snapshot) => Change): Promise<void>;
  observe(appId: string): Promise<Observation>;
}

export class AgentsEngine implements Engine {
  readonly #store: InstanceStore;
  readonly #placing: Serial;

  /** @param placing shared by all that place instances: what one takes, the next must see */
  constructor(store: InstanceStore, placing: Serial) {
    this.#store = store;
    this.#placing = placing;
  }

  apply(appId: string, workloads: readonly Workload[]): Promise<void> {
    return this.#placing.run(() => this.#place(appId, workloads));
  }

  async #place(appId: string, workloads: readonly Workload[]): Promise<void> {
    const decide = ({ hosts, instances }: Snapshot): Change => place({ appId, hosts, instances, workloads });
    // Most looks find nothing to do, and need no transaction to find it.
    const { create, assign, leave } = decide(await this.#store.snapshot());
    if (create.length + assign.length + leave.length > 0) await this.#store.change(appId, decide);
  }

  observe(appId: string): Promise<Observation> {
    return this.#store.observe(appId);
  }
}
