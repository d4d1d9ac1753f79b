/** Usage of a set of processes, read from /proc. */
import { readFileSync } from 'node:fs';
import type { ProcessEntry } from '../../shared/processes.ts';
import type { Usage } from './port.ts';

const pageMb = 4096 / 1024 / 1024;
const ticksPerSecond = 100;

/** Sum over processes. Memory without pages that come from files, which processes share. */
export function watchedUsage(members: readonly ProcessEntry[]): Usage {
  let ticks = 0;
  let pages = 0;
  for (const { pid, cpuTicks } of members) {
    ticks += cpuTicks;
    pages += privatePages(pid);
  }
  return { cpuSeconds: ticks / ticksPerSecond, memoryMb: pages * pageMb };
}

/**
 * Memory as it must be counted before a process is killed for it: every page that forked processes share is divided
 * among them (Pss of smaps_rollup), where the kernel tells.
 */
export function exactMemoryMb(members: readonly ProcessEntry[]): number {
  let kib = 0;
  for (const { pid } of members) {
    const rollup = readProc(pid, 'smaps_rollup');
    const shares = /^Pss_Anon:\s+(\d+) kB[^]*?^Pss_Shmem:\s+(\d+) kB/m.exec(rollup);
    kib += shares ? Number(shares[1]) + Number(shares[2]) : privatePages(pid) * pageMb * 1024;
  }
  return kib / 1024;
}

/** statm(5): resident − shared (file-backed and shmem). */
function privatePages(pid: number): number {
  const [, resident = '0', shared = '0'] = readProc(pid, 'statm').split(' ');
  return Number(resident) - Number(shared);
}

function readProc(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch {
    return ''; // ended meanwhile, or not ours to read
  }
}
