/** The process table where there is no /proc (macOS): asked of ps(1), in the columns that POSIX defines. */
import { execFileSync } from 'node:child_process';
import type { ProcessEntry } from '../shared/processes.ts';

export interface PsEntry extends ProcessEntry {
  /** Whether it has a controlling terminal. */
  terminal: boolean;
  /** Its arguments, joined by blanks. */
  command: string;
}

/** All processes. Sessions are unknown: the process group stands in for them. */
export function psTable(): PsEntry[] {
  const columns = ['pid', 'ppid', 'pgid', 'stat', 'tty', 'args'].flatMap((name) => ['-o', `${name}=`]);
  const text = execFileSync('ps', ['-A', '-ww', ...columns], { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  return text.split('\n').flatMap((line) => parseLine(line) ?? []);
}

function parseLine(line: string): PsEntry | undefined {
  const [, pid, ppid, pgid, state, tty, command] = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
  if (command === undefined) return undefined;
  return {
    pid: Number(pid),
    ppid: Number(ppid),
    pgrp: Number(pgid),
    session: Number(pgid),
    state: state?.charAt(0) ?? '',
    startTime: '',
    cpuTicks: 0,
    rssPages: 0,
    terminal: /^[^?-]/.test(tty ?? ''),
    command,
  };
}
