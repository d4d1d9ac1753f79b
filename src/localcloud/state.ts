/**
 * What the embedded cloud remembers: `state.json` in its data directory, replaced as a whole and fsynced before any
 * answer that acknowledges a change. A damaged or newer file is refused by name, and never overwritten.
 */
import { createHash, randomBytes } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import type { SpeedyProvision } from '../shared/contracts/speedycloud.ts';
import { laterVersion } from '../shared/data-format.ts';
import { readJsonFile, writeDurably } from '../shared/files.ts';
import type { CloudLog } from './log.ts';

export const hostStatus = z.enum(['Created', 'Provisioning', 'Running', 'Stopped', 'Suspended', 'ERROR']);
export type HostStatus = z.infer<typeof hostStatus>;

export const jobName = z.enum(['provision', 'start', 'stop', 'restart', 'suspend', 'resume', 'destroy']);
export type JobName = z.infer<typeof jobName>;

const jobRecord = z.object({
  id: z.int(),
  name: jobName,
  status: z.enum(['queue', 'running', 'success', 'fail']),
  createdAt: z.string(),
  finishedAt: z.nullable(z.string()),
  error: z.nullable(z.string()),
});
export type JobRecord = z.infer<typeof jobRecord>;

const hostRecord = z.object({
  id: z.int(),
  /** `i-…`, also the name of its directory. */
  name: z.string(),
  status: hostStatus,
  tags: z.string(),
  alias: z.string(),
  groupName: z.string(),
  address: z.string(),
  zone: z.string(),
  isp: z.string(),
  image: z.string(),
  cpu: z.int(),
  memoryMb: z.int(),
  diskGb: z.int(),
  bandwidth: z.int(),
  /** User-data. Secret: it carries an enrolment token. */
  bootscript: z.string(),
  createdAt: z.string(),
  /** In the environment of the host's agent and of what inherits it, by which power off finds them all. */
  mark: z.string(),
  /** The host's agent as last seen. */
  agent: z.nullable(z.object({ pid: z.int(), startTime: z.string(), bootId: z.string() })),
  /** Newest last; old ones are dropped. */
  jobs: z.array(jobRecord),
});
export type HostRecord = z.infer<typeof hostRecord>;

const stateVersion = 1;
const anyVersion = z.object({ version: z.int() });
const cloudRecord = z.object({
  version: z.literal(stateVersion),
  /** First three octets of the hosts' addresses; null where all share 127.0.0.1. */
  block: z.nullable(z.string()),
  /** Where it listened last, taken again when any port will do: clients remember it. */
  port: z.nullable(z.int()),
  nextHost: z.int(),
  nextJob: z.int(),
  /** Last octet to try next: addresses go round, so that a new host does not get a dead one's traffic. */
  nextAddress: z.int(),
  hosts: z.array(hostRecord),
});
export type CloudRecord = z.infer<typeof cloudRecord>;

export interface CloudState {
  readonly record: CloudRecord;
  /** Makes the record durable; when that fails (disk full) `undo` takes the change back, and the error is thrown. */
  commit(undo?: () => void): void;
  /** Writes down what has happened already. When that fails it is logged: the next start finds it out by itself. */
  note(): void;
}

/** Opens the state of a data directory, which must exist; a new one is made when there is none. */
export function openState(dataDir: string, log: CloudLog): CloudState {
  const path = join(dataDir, 'state.json');
  const found = readJsonFile(path, anyVersion);
  if (found && found.version > stateVersion) {
    throw laterVersion(path, found.version, stateVersion);
  }
  const record = found ? readJsonFile(path, cloudRecord) : undefined;
  const state: CloudRecord = record ?? {
    version: stateVersion,
    block: process.platform === 'linux' ? addressBlock(dataDir) : null,
    port: null,
    nextHost: 1,
    nextJob: 1,
    nextAddress: 1,
    hosts: [],
  };
  const write = () => writeDurably(path, JSON.stringify(state));
  return {
    record: state,
    commit(undo) {
      try {
        write();
      } catch (error) {
        undo?.();
        throw error;
      }
    },
    note() {
      try {
        write();
      } catch (error) {
        log('error', 'the state cannot be written', { error: String(error) });
      }
    },
  };
}

/**
 * A block of 254 loopback addresses of a data directory: 127.(10-250).x, by a hash of its path, so that two platforms
 * on one machine differ. Linux answers on all of 127.0.0.0/8 without configuration; macOS on 127.0.0.1 only.
 */
export function addressBlock(dataDir: string): string {
  const hash = createHash('sha256').update(realpathSync(dataDir)).digest();
  return `127.${10 + (hash.readUInt16BE(0) % 241)}.${hash.readUInt8(2)}`;
}

/** Takes the next free address; null when the block is used up. */
export function takeAddress(record: CloudRecord): string | null {
  const { block } = record;
  if (block === null) return '127.0.0.1';
  const taken = new Set(record.hosts.map((host) => host.address));
  for (let tried = 0; tried < 254; tried++) {
    const address = `${block}.${record.nextAddress}`;
    record.nextAddress = (record.nextAddress % 254) + 1;
    if (!taken.has(address)) return address;
  }
  return null;
}

/** The record of a host to be, with the next free address; null when there is none. It is not in the state yet. */
export function newHost(record: CloudRecord, request: SpeedyProvision): HostRecord | null {
  const address = takeAddress(record);
  if (address === null) return null;
  return {
    id: record.nextHost++,
    name: `i-${randomBytes(5).toString('hex')}`,
    status: 'Provisioning',
    tags: request.tag ?? '',
    alias: request.alias ?? '',
    groupName: '',
    address,
    zone: request.az,
    isp: request.isp,
    image: request.image,
    cpu: Number(request.cpu),
    memoryMb: Number(request.memory),
    diskGb: Number(request.disk),
    bandwidth: Number(request.bandwidth),
    bootscript: request.bootscript ?? '',
    createdAt: new Date().toISOString(),
    mark: randomBytes(16).toString('hex'),
    agent: null,
    jobs: [],
  };
}
