/** What is known of an instance, on disk: enough for another agent to take over at any moment. Holds secrets: 0600. */
import { readdirSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import * as z from 'zod/mini';
import { digest, instanceExit, instanceSpec, type InstanceSpec } from '../../shared/contracts/instances.ts';
import { readJsonFile } from '../../shared/files.ts';
import { errorFields, type Log } from '../log.ts';
import { removeTreeSync } from '../remove-tree.ts';

const instanceRecord = z.object({
  spec: instanceSpec,
  /** False: to be stopped, and removed once its logs are delivered. */
  wanted: z.boolean(),
  /** A process that shall not be started again has ended (`restart: never`). */
  done: z.boolean(),
  /** A start was made whose end has not been dealt with. */
  running: z.boolean(),
  /** Of the last start. */
  startedAt: z.nullable(z.string()),
  bootId: z.string(),
  runtime: z.enum(['process', 'sandbox']),
  /** Fingerprint of the spec it was started with, see ends.ts. */
  startKey: z.string(),
  /** Whether it has been healthy since the last start. */
  healthy: z.boolean(),
  port: z.nullable(z.int()),
  /** What `app/` holds; null while it is being filled. */
  tree: z.nullable(digest),
  restarts: z.int(),
  /** Ends in a row, see backoff.ts. */
  crashes: z.int(),
  /** ms since the epoch. */
  nextStartAt: z.number(),
  exit: z.nullable(instanceExit),
  /** Why it could not be started yet though nothing is wrong with it; starts tried in a row. */
  delayed: z.optional(z.object({ message: z.string(), tries: z.int() })),
  /** Ends in a row because its port was another process's. */
  foreignPorts: z.optional(z.int()),
  /** The kernel's count of processes killed for memory at the last start. */
  oomKills: z.int(),
});
export type InstanceRecord = z.infer<typeof instanceRecord>;

const fileName = 'record.json';

/** The record of an instance that has never been started. */
export function newRecord(spec: InstanceSpec): InstanceRecord {
  return {
    spec,
    wanted: true,
    done: false,
    running: false,
    startedAt: null,
    bootId: '',
    runtime: 'process',
    startKey: '',
    healthy: false,
    port: null,
    tree: null,
    restarts: 0,
    crashes: 0,
    nextStartAt: 0,
    exit: null,
    oomKills: 0,
  };
}

/** A record in memory and on disk. A full disk must not stop the looking after: what fails is written again later. */
export class StoredRecord {
  readonly #directory: string;
  readonly #failed: (error: unknown) => void;
  #value: InstanceRecord;
  #stored = false;

  constructor(directory: string, value: InstanceRecord, failed: (error: unknown) => void) {
    this.#directory = directory;
    this.#value = value;
    this.#failed = failed;
  }

  get value(): Readonly<InstanceRecord> {
    return this.#value;
  }
  /** Whether the disk has the present value. */
  get stored(): boolean {
    return this.#stored;
  }

  change(change: Partial<InstanceRecord>): void {
    this.#value = { ...this.#value, ...change };
    this.#stored = false;
    this.store();
  }

  /** Writes it, if the disk does not have it. */
  store(): void {
    if (this.#stored) return;
    try {
      writeRecord(this.#directory, this.#value);
      this.#stored = true;
    } catch (error) {
      this.#failed(error);
    }
  }
}

/**
 * Replaces the record in one step. Without fsync: after a power cut nothing runs any more, and the assignment, which is
 * durable, says what to start.
 */
function writeRecord(directory: string, record: InstanceRecord): void {
  mkdirSync(directory, { recursive: true, mode: 0o711 });
  const file = path.join(directory, fileName);
  writeFileSync(`${file}.tmp`, JSON.stringify(record), { mode: 0o600 });
  renameSync(`${file}.tmp`, file);
}

/**
 * The record in an instance directory; undefined when there is none.
 * @throws corrupt when it is damaged
 */
export function readRecord(directory: string): InstanceRecord | undefined {
  return readJsonFile(path.join(directory, fileName), instanceRecord);
}

/** Puts a damaged record aside, so that the instance can be made anew from its spec. */
export function setAsideRecord(directory: string): void {
  renameSync(path.join(directory, fileName), path.join(directory, `${fileName}.damaged`));
}

/** Ids of all instances that have a directory. */
export function listInstances(instances: string): string[] {
  const entries = readdirSync(instances, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

/** Removes an instance's directory with all that is in it; what cannot be removed now, the next agent tries again. */
export function removeInstance(directory: string, log: Log): void {
  try {
    removeTreeSync(directory);
  } catch (error) {
    log.error("an instance's directory remains", { instance: path.basename(directory), ...errorFields(error) });
  }
}
