/**
 * Placement, pure: from hosts, present instances and wanted workloads to what starts where and what leaves.
 *
 * Rules: an instance needs memory that is free on its host (memory is reserved by limit, cpu is shared); copies of one
 * process type are spread over hosts, then over the least loaded; surplus leaves unhealthy first, then from the fullest
 * host, then the highest ordinal.
 */
import { sameBatch, type Workload } from '../port.ts';

export interface PlacementHost {
  id: string;
  memoryMb: number;
  /** Accepts new instances: ready, role compute, not draining. */
  open: boolean;
}

export interface PlacedInstance {
  id: string;
  appId: string;
  release: number;
  epoch: number;
  processType: string;
  ordinal: number;
  /** null: it waits for a host. */
  hostId: string | null;
  memoryMb: number;
  /** Neither drained nor stopped. */
  staying: boolean;
  /** Healthy and ready to serve. */
  healthy: boolean;
  /** To be replaced: the first to leave, and its ordinal is free for the one that takes its place. */
  replacing?: boolean;
}

export interface PlacementInput {
  appId: string;
  hosts: readonly PlacementHost[];
  /** All instances that have not ended, of all apps (they take room). */
  instances: readonly PlacedInstance[];
  workloads: readonly Workload[];
}

export interface Placement {
  create: { workload: Workload; ordinal: number; hostId: string | null }[];
  /** Waiting instances that have a host now. */
  assign: { id: string; hostId: string }[];
  /** Instances that leave: drained, then stopped. */
  leave: string[];
}

export function place(input: PlacementInput): Placement {
  const room = freeRoom(input.hosts, input.instances);
  const result: Placement = { create: [], assign: [], leave: [] };
  const ours = input.instances.filter((instance) => instance.appId === input.appId && instance.staying);
  const wanted = (instance: PlacedInstance) =>
    input.workloads.find((w) => w.processType === instance.processType && sameBatch(w, instance));

  for (const instance of ours) if (!wanted(instance)) result.leave.push(instance.id);

  for (const workload of input.workloads) {
    const present = ours.filter((i) => i.processType === workload.processType && sameBatch(i, workload));
    const perHost = countByHost(ours.filter((i) => i.processType === workload.processType));
    for (const surplus of pickSurplus(present, workload.count, perHost)) result.leave.push(surplus.id);
    const leaving = new Set(result.leave);
    const kept = present.filter((i) => !leaving.has(i.id));
    const inOrder = kept.filter((i) => i.hostId === null).sort((a, b) => a.ordinal - b.ordinal);
    for (const waiting of inOrder) {
      const hostId = chooseHost(room, perHost, waiting.memoryMb);
      if (hostId === null) continue;
      result.assign.push({ id: waiting.id, hostId });
      take(room, perHost, hostId, waiting.memoryMb);
    }
    const ordinals = new Set(kept.filter((i) => i.replacing !== true).map((i) => i.ordinal));
    for (let missing = workload.count - kept.length, ordinal = 1; missing > 0; ordinal++) {
      if (ordinals.has(ordinal)) continue;
      const hostId = chooseHost(room, perHost, workload.memoryMb);
      result.create.push({ workload, ordinal, hostId });
      if (hostId !== null) take(room, perHost, hostId, workload.memoryMb);
      missing--;
    }
  }
  return result;
}

/**
 * The host for one more instance: fewest copies of the same process type, then most free memory, then id, so that the
 * same input gives the same answer. Null when none has room.
 */
export function chooseHost(
  room: ReadonlyMap<string, number>,
  perHost: ReadonlyMap<string, number>,
  memoryMb: number,
): string | null {
  let best: { id: string; copies: number; free: number } | null = null;
  for (const [id, free] of room) {
    if (free < memoryMb) continue;
    const copies = perHost.get(id) ?? 0;
    const better =
      best === null ||
      copies < best.copies ||
      (copies === best.copies && (free > best.free || (free === best.free && id < best.id)));
    if (better) best = { id, copies, free };
  }
  return best?.id ?? null;
}

/** Free memory (MiB) of every host that accepts instances. Leaving instances still take their room until they ended. */
export function freeRoom(hosts: readonly PlacementHost[], instances: readonly PlacedInstance[]): Map<string, number> {
  const room = new Map<string, number>();
  for (const host of hosts) if (host.open) room.set(host.id, host.memoryMb);
  for (const instance of instances) {
    if (instance.hostId === null) continue;
    const free = room.get(instance.hostId);
    if (free !== undefined) room.set(instance.hostId, free - instance.memoryMb);
  }
  return room;
}

/** Memory (MiB) of the waiting instances that find no room on the hosts there are. */
export function withoutRoom(hosts: readonly PlacementHost[], instances: readonly PlacedInstance[]): number[] {
  const room = [...freeRoom(hosts, instances).values()];
  const rest: number[] = [];
  for (const { hostId, memoryMb } of [...instances].sort((a, b) => b.memoryMb - a.memoryMb)) {
    if (hostId !== null) continue;
    const index = room.findIndex((free) => free >= memoryMb);
    if (index < 0) rest.push(memoryMb);
    else room[index] = room[index]! - memoryMb;
  }
  return rest;
}

/** How many new hosts of `hostMemoryMb` the waiting instances need, packing them first-fit by decreasing size. */
export function hostsNeeded(waitingMb: readonly number[], hostMemoryMb: number): number {
  const bins: number[] = [];
  for (const size of [...waitingMb].sort((a, b) => b - a)) {
    if (size > hostMemoryMb) continue;
    const index = bins.findIndex((free) => free >= size);
    if (index < 0) bins.push(hostMemoryMb - size);
    else bins[index] = bins[index]! - size;
  }
  return bins.length;
}

function pickSurplus(
  present: readonly PlacedInstance[],
  count: number,
  perHost: ReadonlyMap<string, number>,
): PlacedInstance[] {
  const load = new Map(perHost);
  const loadOf = (i: PlacedInstance) => (i.hostId === null ? Number.MAX_SAFE_INTEGER : (load.get(i.hostId) ?? 0));
  const rest = [...present];
  const surplus: PlacedInstance[] = [];
  while (rest.length > count) {
    rest.sort(
      (a, b) =>
        Number(b.replacing ?? false) - Number(a.replacing ?? false) ||
        Number(a.healthy) - Number(b.healthy) ||
        loadOf(b) - loadOf(a) ||
        b.ordinal - a.ordinal,
    );
    const next = rest.shift()!;
    if (next.hostId !== null) load.set(next.hostId, loadOf(next) - 1);
    surplus.push(next);
  }
  return surplus;
}

function countByHost(instances: readonly PlacedInstance[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { hostId } of instances) if (hostId !== null) counts.set(hostId, (counts.get(hostId) ?? 0) + 1);
  return counts;
}

function take(room: Map<string, number>, perHost: Map<string, number>, hostId: string, memoryMb: number): void {
  room.set(hostId, (room.get(hostId) ?? 0) - memoryMb);
  perHost.set(hostId, (perHost.get(hostId) ?? 0) + 1);
}
