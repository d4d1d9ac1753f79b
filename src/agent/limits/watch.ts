/** Usage of a set of processes, read from /proc. */
import { readFileSync } from 'node:fs';
import type { ProcessEntry } from '../../shared/processes.ts';
import type { Usage } from './port.ts';

const ticksPerSecond = 100;

/** Sum over processes. Memory without the pages of files; what forked processes share counts in each of them. */
export function watchedUsage(members: readonly ProcessEntry[]): Usage {
  let ticks = 0;
  let kib = 0;
  for (const { pid, cpuTicks } of members) {
    ticks += cpuTicks;
    kib += ownKib(pid);
  }
  return { cpuSeconds: ticks / ticksPerSecond, memoryMb: kib / 1024 };
}

/**
 * Memory as it must be counted before a process is killed for it: what forked processes share is divided among them
 * (Pss of smaps_rollup), where the kernel tells.
 */
export function exactMemoryMb(members: readonly ProcessEntry[]): number {
  let kib = 0;
  for (const { pid } of members) {
    const rollup = readProc(pid, 'smaps_rollup');
    kib += rollup.includes('Pss_Anon:') ? kibOf(rollup, 'Pss_Anon') + kibOf(rollup, 'Pss_Shmem') : ownKib(pid);
  }
  return kib / 1024;
}

function ownKib(pid: number): number {
  const status = readProc(pid, 'status');
  return kibOf(status, 'RssAnon') + kibOf(status, 'RssShmem');
}

function kibOf(text: string, key: string): number {
  const start = text.indexOf(`${key}:`);
  return start < 0 ? 0 : Number.parseInt(text.slice(start + key.length + 1), 10);
}

function readProc(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch {
    return ''; // ended meanwhile, or not ours to read
  }
}
