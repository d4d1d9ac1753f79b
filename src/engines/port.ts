/**
 * The Engine port: what keeps instances running in a cluster. `agents` places by itself and drives our own agents;
 * `swarm` hands the same workloads to Docker Swarm.
 *
 *   apply(workloads) ──► [placed] ──► starting ──► healthy ──► draining ──► ended
 *                           └ waiting: no host has room (observe().waiting)
 *
 * Level-triggered: apply states the whole truth for an app and may be called at any time, any number of times. A
 * workload that is absent ends. A rollout only changes counts per release.
 */
import type { InstanceExit, InstanceState } from '../shared/contracts/instances.ts';
import type { ProcessKind } from '../shared/contracts/app-spec.ts';

/** Which incarnation of an app a copy belongs to: a release, and the epoch that `paas restart` raises. */
export interface Batch {
  release: number;
  epoch: number;
}

export interface Workload extends Batch {
  processType: string;
  kind: ProcessKind;
  count: number;
  memoryMb: number;
  cpu: number | null;
}

export interface ObservedInstance extends Batch {
  id: string;
  processType: string;
  ordinal: number;
  /** Whether it is on its way out (drained or stopped by a smaller count). */
  leaving: boolean;
  /** Whether another one is to take its place. */
  replacing: boolean;
  state: InstanceState;
  ready: boolean;
  wasHealthy: boolean;
  restarts: number;
  exit: InstanceExit | null;
  message: string | null;
  address: string | null;
  port: number | null;
  host: string | null;
}

export interface Observation {
  instances: ObservedInstance[];
}

export interface Engine {
  apply(appId: string, workloads: readonly Workload[]): Promise<void>;
  observe(appId: string): Promise<Observation>;
}

export const sameBatch = (a: Batch, b: Batch): boolean => a.release === b.release && a.epoch === b.epoch;
