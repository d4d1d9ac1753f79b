/** A small world for the rollout machine: the real placement over endless room, and instances that live and die. */
import type { Batch, ObservedInstance, Workload } from '../../../../src/engines/port.ts';
import { sameBatch } from '../../../../src/engines/port.ts';
import { place, type PlacedInstance } from '../../../../src/engines/agents/placement.ts';
import { decide, type RolloutDecision, type RolloutInput } from '../../../../src/control/rollout/machine.ts';

export interface Inhabitant extends ObservedInstance {
  routed: boolean;
}

export const observedInstance = (id: string, change: Partial<Inhabitant> = {}): Inhabitant => ({
  ...{ id, release: 1, epoch: 0, processType: 'web', ordinal: 1, leaving: false, replacing: false, state: 'healthy' },
  ...{ ready: true, wasHealthy: true, restarts: 0, exit: null, message: null, address: null, port: null, host: 'h' },
  ...{ routed: true },
  ...change,
});

export const isUp = (i: Inhabitant): boolean => i.state === 'healthy' && i.ready;

export type State = RolloutDecision['state'];

export class World {
  instances: Inhabitant[] = [];
  state: State = 'running';
  routersInSight = true;
  /** Whether instances of the new batch can become healthy. */
  newWorks = true;
  readonly input: Omit<RolloutInput, 'state' | 'instances' | 'routed'>;
  #made = 0;

  constructor(input: World['input']) {
    this.input = input;
  }

  add(batch: Batch, processType: string, count: number, change: Partial<Inhabitant> = {}): void {
    for (let ordinal = 1; ordinal <= count; ordinal++) {
      this.instances.push(observedInstance(`i${++this.#made}`, { ...batch, processType, ordinal, ...change }));
    }
  }

  get over(): boolean {
    return this.state === 'succeeded' || this.state === 'failed' || this.state === 'cancelled';
  }

  isNew(i: Inhabitant): boolean {
    return sameBatch(i, this.input.to);
  }

  staying(processType: string): Inhabitant[] {
    return this.instances.filter((i) => !i.leaving && i.processType === processType);
  }

  /** One look, as the reconciler takes it. */
  look(): RolloutDecision {
    const decision = decide({
      ...this.input,
      state: this.state as RolloutInput['state'],
      instances: this.instances,
      routed: (i) => this.routersInSight && (i as Inhabitant).routed,
    });
    this.#apply(decision);
    this.state = decision.failure && decision.state !== 'failed' ? 'failing' : decision.state;
    return decision;
  }

  #apply({ wanted }: RolloutDecision): void {
    const workloads = wanted.map((w): Workload => ({ ...w, kind: 'web', memoryMb: 1, cpu: null }));
    const instances = this.instances.map((i): PlacedInstance => ({
      ...{ id: i.id, appId: 'a', release: i.release, epoch: i.epoch, processType: i.processType, ordinal: i.ordinal },
      ...{ hostId: 'h', memoryMb: 1, staying: !i.leaving, healthy: isUp(i) },
    }));
    const hosts = [{ id: 'h', memoryMb: 1_000_000, open: true }];
    const { create, leave } = place({ appId: 'a', hosts, instances, workloads });
    for (const i of this.instances) if (leave.includes(i.id)) Object.assign(i, { leaving: true });
    for (const { workload: w, ordinal } of create) {
      this.add({ release: w.release, epoch: w.epoch }, w.processType, 1, {
        ...{ state: 'pending', ready: false, wasHealthy: false, routed: false },
      });
      this.instances.at(-1)!.ordinal = ordinal;
    }
  }

  crash(i: Inhabitant): void {
    const again = i.state === 'crashed' ? 1 : 0;
    const exit = { code: 1, signal: null, reason: 'exited', at: '' } as const;
    Object.assign(i, { state: 'crashed', ready: false, routed: false, exit, restarts: i.restarts + again });
  }

  become(i: Inhabitant): void {
    if (i.state === 'crashed') i.restarts++;
    if (this.isNew(i) && !this.newWorks) this.crash(Object.assign(i, { state: 'starting' }));
    else Object.assign(i, { state: 'healthy', ready: true, wasHealthy: true });
  }

  /** Everything that can go well goes well for a moment. */
  fairly(): void {
    this.routersInSight = true;
    this.instances = this.instances.filter((i) => !i.leaving);
    for (const i of this.instances) {
      if (!isUp(i)) this.become(i);
      else i.routed = true;
    }
  }
}
