/** cgroup v1 (one hierarchy a controller) and v2 (one for all), behind one description of their files. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { errnoOf } from '../../shared/errors.ts';
import { watchedUsage } from './watch.ts';
import type { LimitGroup, Limits } from './port.ts';

export const cgroupRoot = '/sys/fs/cgroup';
const mib = 1024 * 1024;
/** CFS bandwidth period, µs (kernel default). */
const period = 100_000;

interface Hierarchy {
  controller: 'memory' | 'cpu' | 'cpuacct' | 'unified';
  limitsCpu: boolean;
  /** Where it is mounted. */
  mount: string;
}

/**
 * The limits of this host.
 * @param host distinguishes agents on one machine; a path-safe name
 * @param root where cgroups are mounted
 */
export function openLimits(host: string, root = cgroupRoot): Limits {
  const hierarchies = usable(root, host);
  const memory = hierarchies.some(({ controller }) => controller === 'memory' || controller === 'unified');
  const notices: string[] = [];
  if (!memory) {
    notices.push(
      'memory limits are enforced by watching processes every 0.5 s: cgroups are not writable for the agent',
    );
  }
  if (!hierarchies.some(({ limitsCpu }) => limitsCpu)) {
    notices.push('cpu limits have no effect: the cpu controller of cgroups is not writable for the agent');
  }
  return {
    enforcedBy: memory ? 'kernel' : 'watch',
    notices,
    open(instance, limits) {
      const groups = hierarchies.map((one) => ({ ...one, directory: path.join(one.mount, 'paas', host, instance) }));
      for (const { controller, directory } of groups) {
        if (controller === 'unified') delegate(root, host);
        mkdirSync(directory, { recursive: true });
        if (controller === 'memory') setMemoryV1(directory, limits.memoryMb);
        if (controller === 'cpu' && limits.cpu !== null) {
          set(directory, 'cpu.cfs_period_us', period);
          set(directory, 'cpu.cfs_quota_us', Math.max(1000, Math.round(limits.cpu * period)));
        }
        if (controller === 'unified') setUnified(directory, limits);
      }
      return group(groups);
    },
  };
}

function group(groups: (Hierarchy & { directory: string })[]): LimitGroup {
  const of = (controller: Hierarchy['controller']): string | undefined =>
    groups.find((one) => one.controller === controller)?.directory;
  const [memory, accounting, unified] = [of('memory'), of('cpuacct'), of('unified')];
  return {
    join: groups.map(({ directory }) => path.join(directory, 'cgroup.procs')),
    visible: Object.fromEntries(
      groups.filter(({ controller }) => controller !== 'cpuacct').map(({ mount, directory }) => [mount, directory]),
    ),
    pids() {
      const found = groups.flatMap(({ directory }) =>
        read(directory, 'cgroup.procs').split('\n').filter(Boolean).map(Number),
      );
      return [...new Set(found)];
    },
    usage(members) {
      // What the kernel could not give back at once, as Kubernetes counts it ("working set").
      const workingSet = (directory: string, used: string, inactive: string): number =>
        (Number(read(directory, used)) - number(read(directory, 'memory.stat'), inactive)) / mib;
      if (unified !== undefined) {
        const cpuSeconds = number(read(unified, 'cpu.stat'), 'usage_usec') / 1e6;
        return { cpuSeconds, memoryMb: workingSet(unified, 'memory.current', 'inactive_file') };
      }
      if (memory === undefined || accounting === undefined) return watchedUsage(members());
      const cpuSeconds = Number(read(accounting, 'cpuacct.usage')) / 1e9;
      return { cpuSeconds, memoryMb: workingSet(memory, 'memory.usage_in_bytes', 'total_inactive_file') };
    },
    oomKills() {
      if (unified !== undefined) return number(read(unified, 'memory.events'), 'oom_kill');
      return memory === undefined ? 0 : number(read(memory, 'memory.oom_control'), 'oom_kill');
    },
    remove() {
      for (const { directory } of groups) removeGroup(directory);
    },
  };
}

/** The hierarchies in which this process may make and limit groups. Tried, not guessed from versions. */
function usable(root: string, host: string): Hierarchy[] {
  if (process.platform !== 'linux') return [];
  const v1 = (['memory', 'cpu', 'cpuacct'] as const).flatMap((controller): Hierarchy[] => {
    const mount = path.join(root, controller);
    const files = filesOfTrial(mount, host);
    if (files === null || (controller === 'memory' && !files.has('memory.limit_in_bytes'))) return [];
    return [{ controller, mount, limitsCpu: files.has('cpu.cfs_quota_us') }];
  });
  if (v1.some(({ controller }) => controller === 'memory') || !existsSync(path.join(root, 'cgroup.controllers'))) {
    return v1;
  }
  try {
    delegate(root, host);
  } catch {
    return v1; // not permitted (a normal user, a container): the notices say so
  }
  const files = filesOfTrial(root, host);
  return files?.has('memory.max') ? [{ controller: 'unified', mount: root, limitsCpu: files.has('cpu.max') }] : v1;
}

/** cgroup v2: passes the controllers on to the groups of instances. Throws where memory cannot be. */
function delegate(root: string, host: string): void {
  for (const directory of [root, path.join(root, 'paas'), path.join(root, 'paas', host)]) {
    mkdirSync(directory, { recursive: true });
    set(directory, 'cgroup.subtree_control', '+memory');
    try {
      set(directory, 'cgroup.subtree_control', '+cpu');
    } catch {
      // A kernel or a parent without it: seen by the missing cpu.max.
    }
  }
}

/** Which files a group of a hierarchy gets; null when none can be made. */
function filesOfTrial(mount: string, host: string): Set<string> | null {
  if (!existsSync(path.join(mount, 'cgroup.procs'))) return null;
  const trial = path.join(mount, 'paas', host, `trial-${process.pid}`);
  try {
    mkdirSync(trial, { recursive: true });
    const files = new Set(readdirSync(trial));
    return files.has('cgroup.procs') ? files : null;
  } catch {
    return null;
  } finally {
    removeGroup(trial);
  }
}

function setMemoryV1(directory: string, memoryMb: number): void {
  // The limit of memory + swap may never be below that of memory, so which comes first depends on the direction.
  const bytes = memoryMb * mib;
  const both = existsSync(path.join(directory, 'memory.memsw.limit_in_bytes'));
  const raised = Number(read(directory, 'memory.limit_in_bytes')) < bytes;
  if (both && raised) set(directory, 'memory.memsw.limit_in_bytes', bytes);
  set(directory, 'memory.limit_in_bytes', bytes);
  if (both && !raised) set(directory, 'memory.memsw.limit_in_bytes', bytes);
}

function setUnified(directory: string, limits: { memoryMb: number; cpu: number | null }): void {
  set(directory, 'memory.max', limits.memoryMb * mib);
  if (existsSync(path.join(directory, 'memory.swap.max'))) set(directory, 'memory.swap.max', 0);
  if (existsSync(path.join(directory, 'cpu.max'))) {
    set(directory, 'cpu.max', limits.cpu === null ? `max ${period}` : `${Math.round(limits.cpu * period)} ${period}`);
  }
}

function set(directory: string, name: string, value: string | number): void {
  writeFileSync(path.join(directory, name), String(value));
}

/** A file of a cgroup; '' when the group is gone. */
function read(directory: string, name: string): string {
  try {
    return readFileSync(path.join(directory, name), 'latin1');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENODEV') return '';
    throw error;
  }
}

/** The number after a key of a flat keyed file; 0 when the key is absent. */
function number(text: string, key: string): number {
  const line = text.split('\n').find((one) => one.startsWith(`${key} `));
  return line === undefined ? 0 : Number(line.slice(key.length + 1));
}

/** Removes a group, and the agent's own group when that was its last. */
function removeGroup(directory: string): void {
  tryRemove(directory);
  tryRemove(path.dirname(directory));
}

function tryRemove(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (error) {
    const expected = ['ENOENT', 'EBUSY', 'ENOTEMPTY', 'EROFS', 'EACCES', 'EPERM', 'ENOTDIR'];
    if (!expected.includes(errnoOf(error) ?? '')) throw error;
  }
}
