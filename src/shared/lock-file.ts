/**
 * A lock that dies with its holder: a file that names the holding process (pid + start time + boot id), so that a lock
 * left by `kill -9` or a power cut is taken over at once and a reused pid is not mistaken for the holder.
 *
 * Taking over must be done by one of several that see the same dead holder: who hard-links the successor file named
 * after the dead lock's nonce is the one, and renames it over the lock.
 */
import { randomBytes } from 'node:crypto';
import { linkSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import * as z from 'zod/mini';
import { errnoOf, PaasError } from './errors.ts';
import { readJsonFile } from './files.ts';
import { isAlive, processIdentity, type ProcessIdentity } from './processes.ts';

const lockContent = z.object({ nonce: z.string(), pid: z.int(), startTime: z.string(), bootId: z.string() });

export interface LockFile {
  /**
   * Makes a living process the holder, with no moment in which nobody is; it takes the lock up with `adoptLock`. This
   * process has it no more.
   * @throws PaasError `not_found` when there is no such process
   */
  handTo(pid: number): void;
  /** Gives the lock up; harmless when done twice. */
  release(): void;
}

/** A successor file older than this was left by a process that died while taking over. */
const staleTakeoverMs = 10_000;

/**
 * Takes the lock for this process.
 * @param path the lock file; its directory must exist
 * @param what what is locked, for the message: "the data directory /x of the embedded cloud"
 * @throws PaasError `locked` when another living process (or this one) holds it; details: `{pid}`
 */
export function acquireLock(path: string, what: string): LockFile {
  const own = { nonce: randomBytes(12).toString('hex'), ...ownIdentity() };
  const temporary = `${path}.${own.nonce}.tmp`;
  writeFileSync(temporary, JSON.stringify(own), { mode: 0o600, flag: 'wx' });
  try {
    for (let attempt = 0; attempt < 20; attempt++) {
      if (tryLink(temporary, path)) return held(path, own.nonce);
      const holder = readHolder(path);
      if (holder === undefined) continue; // released in between
      if (holder.process && isAlive(holder.process)) throw lockedBy(holder.process, what);
      if (takeOver(path, holder.nonce, temporary)) return held(path, own.nonce);
    }
  } finally {
    rmSync(temporary, { force: true });
  }
  throw new PaasError('locked', `${what} is being taken by another process`, { details: { path } });
}

/**
 * The lock that its holder has handed to this process.
 * @throws PaasError `locked` when the lock names another process, or none
 */
export function adoptLock(path: string, what: string): LockFile {
  const holder = readHolder(path);
  if (holder?.process?.pid === process.pid && isAlive(holder.process)) return held(path, holder.nonce);
  throw new PaasError('locked', `${what} was not handed to this process`, { details: { path } });
}

/** The living process that holds a lock, if any. */
export function lockHolder(path: string): ProcessIdentity | undefined {
  const holder = readHolder(path)?.process;
  return holder && isAlive(holder) ? holder : undefined;
}

function takeOver(path: string, deadNonce: string, temporary: string): boolean {
  const successor = `${path}.${deadNonce}.next`;
  if (!tryLink(temporary, successor)) {
    const age = ageMs(successor);
    if (age !== undefined && age > staleTakeoverMs) rmSync(successor, { force: true });
    return false;
  }
  // Somebody may have finished a take-over between our reading of the lock and our link.
  if (readHolder(path)?.nonce !== deadNonce) {
    rmSync(successor, { force: true });
    return false;
  }
  renameSync(successor, path);
  return true;
}

function held(path: string, nonce: string): LockFile {
  return {
    release: () => {
      if (readHolder(path)?.nonce === nonce) rmSync(path, { force: true });
    },
    handTo: (pid) => {
      const heir = processIdentity(pid);
      if (!heir) throw new PaasError('not_found', `there is no process ${pid} that could take a lock over`);
      const temporary = `${path}.${nonce}.heir`;
      // A nonce of its own: what this process releases later is not the heir's.
      const content = { nonce: randomBytes(12).toString('hex'), ...heir };
      writeFileSync(temporary, JSON.stringify(content), { mode: 0o600 });
      renameSync(temporary, path);
    },
  };
}

function lockedBy(holder: ProcessIdentity, what: string): PaasError {
  return new PaasError('locked', `${what} is in use by process ${holder.pid}`, {
    hint: `Use the one that runs, or stop it first (process ${holder.pid}).`,
    details: { pid: holder.pid },
  });
}

/**
 * Who the lock file names. Its content is complete before it gets its name, so a file that cannot be read was cut short
 * by a power cut, and its holder is dead.
 */
function readHolder(path: string): { nonce: string; process?: ProcessIdentity } | undefined {
  try {
    const content = readJsonFile(path, lockContent);
    return content && { nonce: content.nonce, process: content };
  } catch (error) {
    if (error instanceof PaasError && error.code === 'corrupt') return { nonce: 'damaged' };
    throw error;
  }
}

function ownIdentity(): ProcessIdentity {
  const identity = processIdentity(process.pid);
  if (!identity) throw new PaasError('internal', 'the process table does not list this process');
  return identity;
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
}

function ageMs(path: string): number | undefined {
  try {
    return Date.now() - statSync(path).ctimeMs;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
