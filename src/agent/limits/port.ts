/**
 * Memory and CPU of instances: limited and measured by the kernel (cgroups) where that is permitted, else measured by
 * reading /proc and limited by killing.
 */
import type { ProcessEntry } from '../../shared/processes.ts';

export interface Usage {
  /** Processor time used since the group was made, in seconds. */
  cpuSeconds: number;
  /** Memory in use without page cache that could be dropped, MiB. */
  memoryMb: number;
}

export interface LimitGroup {
  /** cgroup.procs files that a process joins by writing its pid; none when the kernel's limits may not be used. */
  join: string[];
  /** What the app may see as its own cgroups: mount point → directory. */
  visible: Record<string, string>;
  /** Pids of all processes in the group, whatever session or parent they have; [] where unknown. */
  pids(): number[];
  /** @param members the instance's processes, asked for where the kernel does not count */
  usage(members: () => readonly ProcessEntry[]): Usage;
  /** Processes the kernel killed for memory since the group was made. */
  oomKills(): number;
  /** Removes what was made. Without effect while processes are left; call again then. */
  remove(): void;
}

export interface Limits {
  /** `kernel`: cgroups enforce the memory limit. `watch`: the supervisor must, by looking at usage. */
  enforcedBy: 'kernel' | 'watch';
  /** For `paas status`: what is missing and what that means. */
  notices: string[];
  /** A group for one start of an instance. Existing ones are taken up again. */
  open(instance: string, limits: { memoryMb: number; cpu: number | null }): LimitGroup;
}
