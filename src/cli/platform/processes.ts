/** The two programs of the platform on this machine: whether they run, and how they are started and stopped. */
import { closeSync, existsSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod/mini';
import { localCloudEndpoint, type LocalCloudEndpoint } from '../../localcloud/client.ts';
import { fromErrorBody, PaasError } from '../../shared/errors.ts';
import { readJsonFileIfSound } from '../../shared/files.ts';
import { lockHolder } from '../../shared/lock-file.ts';
import { isAlive, sendSignal, type ProcessIdentity } from '../../shared/processes.ts';
import type { PlatformFiles } from './files.ts';
import type { Started } from './spawn.ts';

const endpointFile = z.object({ url: z.string(), version: z.string(), pid: z.int() });

export interface RunningServer {
  process: ProcessIdentity;
  /** Where it answers; null while it starts. */
  endpoint: { url: string; version: string } | null;
}

/** The control plane of this machine, if it runs: whoever holds the lock of its data. */
export function runningServer(files: PlatformFiles): RunningServer | null {
  if (!existsSync(files.server)) return null;
  const process = lockHolder(join(files.server, 'server.lock'));
  if (!process) return null;
  // The control plane writes its own as soon as it answers.
  const endpoint = readJsonFileIfSound(join(files.server, 'endpoint.json'), endpointFile);
  return { process, endpoint: endpoint?.pid === process.pid ? endpoint : null };
}

/** The embedded cloud of this machine, if it runs. */
export function runningCloud(files: PlatformFiles): LocalCloudEndpoint | null {
  return (existsSync(files.cloud) && localCloudEndpoint(files.cloud)) || null;
}

/** Ends a process: SIGTERM, and SIGKILL when that was not enough. */
export async function stopProcess(identity: ProcessIdentity, patienceMs: number): Promise<void> {
  sendSignal(identity.pid, 'SIGTERM');
  if (await gone(identity, patienceMs)) return;
  sendSignal(identity.pid, 'SIGKILL');
  if (await gone(identity, 5000)) return;
  throw new PaasError(
    'timeout',
    `Process ${identity.pid} of the platform did not end within ${patienceMs / 1000 + 5} s.`,
  );
}

async function gone(identity: ProcessIdentity, patienceMs: number): Promise<boolean> {
  const deadline = Date.now() + patienceMs;
  while (isAlive(identity)) {
    if (Date.now() > deadline) return false;
    await sleep(20);
  }
  return true;
}

export interface Wait {
  /** Completes "Waited 30 s for …". */
  what: string;
  log: string;
  /** Size of the log before, so that only new lines are shown. */
  logFrom: number;
  timeoutMs: number;
  signal: AbortSignal;
  /** The program that is waited for. */
  program?: Started;
}

/**
 * Asks until the answer is not null.
 * @throws PaasError timeout and host_failed (the program ended), both with the end of its log; interrupted
 */
export async function waitFor<T>(ask: () => T | null | Promise<T | null>, wait: Wait): Promise<T> {
  const deadline = Date.now() + wait.timeoutMs;
  for (let pauseMs = 5; ; pauseMs = Math.min(100, pauseMs * 2)) {
    const answer = await ask();
    if (answer !== null) return answer;
    if (wait.signal.aborted)
      throw new PaasError('interrupted', `Interrupted while waiting for ${wait.what}.`, {
        hint: '`paas up` goes on, `paas down` stops it all.',
      });
    const end = wait.program?.exit() ?? null;
    if (end !== null) throw ended(wait, end);
    if (Date.now() > deadline) {
      const lastLines = readLog(wait.log, wait.logFrom);
      throw new PaasError('timeout', `Waited ${wait.timeoutMs / 1000} s for ${wait.what}.`, {
        hint: `See ${wait.log}; repeating \`paas up\` waits on.`,
        details: { lastLines, instance: wait.log },
      });
    }
    await sleep(pauseMs, undefined, { signal: wait.signal }).catch(() => undefined);
  }
}

function ended(wait: Wait, end: { code: number | null; signal: string | null }): PaasError {
  const how = end.signal === null ? `exit code ${end.code ?? 0}` : end.signal;
  const lines = readLog(wait.log, wait.logFrom);
  const said = lines.map(parseLine).findLast((line) => line !== null);
  if (said) return fromErrorBody({ ...said, details: { log: wait.log } });
  return new PaasError('host_failed', `Waited for ${wait.what}, but the program ended (${how}).`, {
    hint: `See ${wait.log}.`,
    details: { lastLines: lines, instance: wait.log },
  });
}

const errorLine = z.object({
  level: z.literal('error'),
  message: z.string(),
  code: z.string(),
  hint: z.optional(z.string()),
});

/** The line in which the control plane says why it ends. */
function parseLine(line: string): z.infer<typeof errorLine> | null {
  if (!line.startsWith('{')) return null;
  try {
    return errorLine.safeParse(JSON.parse(line)).data ?? null;
  } catch {
    return null;
  }
}

/** The last lines of a log, from a position on. */
function readLog(path: string, from: number): string[] {
  if (!existsSync(path)) return [];
  const fd = openSync(path, 'r');
  try {
    const { size } = fstatSync(fd);
    const begin = Math.max(size < from ? 0 : from, size - 16_384);
    const bytes = Buffer.alloc(Math.max(0, size - begin));
    readSync(fd, bytes, 0, bytes.length, begin);
    return bytes
      .toString('utf8')
      .split('\n')
      .filter((line) => line !== '')
      .slice(-20);
  } finally {
    closeSync(fd);
  }
}

/** 0 for a log that is not there yet. */
export function logSize(log: string): number {
  return statSync(log, { throwIfNoEntry: false })?.size ?? 0;
}
