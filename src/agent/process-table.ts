/** The machine's process table, read once for all who want to know at the same time: a hundred instances may stop at once. */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { listProcesses, type ProcessEntry } from '../shared/processes.ts';

/** Of the time between two readings, at most a quarter is spent on reading. */
const pauseRatio = 3;

let next: Promise<ProcessEntry[]> | null = null;
let notBefore = 0;

/** The table as it is after the call: nobody is missing in it who was there when it was asked for. */
export function nextProcesses(): Promise<ProcessEntry[]> {
  next ??= read();
  return next;
}

async function read(): Promise<ProcessEntry[]> {
  await sleep(Math.max(0, notBefore - performance.now()));
  next = null;
  const begun = performance.now();
  try {
    return listProcesses();
  } finally {
    const end = performance.now();
    notBefore = end + pauseRatio * (end - begun);
  }
}
