/** What a host is and has: sent with every hello, so that placement, builds and `paas hosts` know it. */
import { createHash } from 'node:crypto';
import { readFileSync, statfsSync } from 'node:fs';
import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os';
import type { HostFacts } from '../shared/contracts/agent.ts';
import type { BaseRef } from '../shared/contracts/instances.ts';
import { errnoOf } from '../shared/errors.ts';
import { bootId } from '../shared/processes.ts';
import { version } from '../shared/version.ts';
import { writeDurably } from '../shared/files.ts';

export interface FactsInput {
  dataRoot: string;
  address: string;
  /** Overrides for a host that is a part of a machine (the embedded cloud's). */
  cpu?: number | undefined;
  memoryMb?: number | undefined;
  tools: Record<string, string>;
  runtimes: HostFacts['runtimes'];
  notices: readonly string[];
  bases: readonly BaseRef[];
}

export function hostFacts(input: FactsInput): HostFacts {
  return {
    agentVersion: version,
    bootId: bootId(),
    os: osName(),
    arch: arch(),
    cpu: input.cpu ?? cores(),
    memoryMb: input.memoryMb ?? Math.floor(totalmem() / 2 ** 20),
    tools: input.tools,
    runtimes: input.runtimes,
    notices: [...input.notices],
    bases: [hostBase(input.tools), ...input.bases],
    address: input.address,
    disk: diskSpace(input.dataRoot),
  };
}

/**
 * The base called `host`: the machine's own file system. Its digest stands for what an app can tell of it: system,
 * release, architecture and tool versions; two hosts made alike have the same.
 */
export function hostBase(tools: Record<string, string>): BaseRef {
  const fingerprint = JSON.stringify([osName(), platform(), arch(), Object.entries(tools).sort()]);
  return { name: 'host', digest: createHash('sha256').update(fingerprint).digest('hex') };
}

/** Space of the file system below a directory, in MiB; free is what an unprivileged user may still write. */
export function diskSpace(path: string): HostFacts['disk'] {
  const { blocks, bavail, bsize } = statfsSync(path);
  const mb = (count: number) => Math.floor((count * bsize) / 2 ** 20);
  return { totalMb: mb(blocks), freeMb: mb(bavail) };
}

/** The result of `detect`, with the text it needs again at the next start kept in a file. */
export async function withCache<T extends { cache: string }>(
  path: string,
  detect: (cached: string) => Promise<T>,
): Promise<T> {
  let cached = '';
  try {
    cached = readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  const result = await detect(cached);
  if (result.cache !== cached) writeDurably(path, result.cache);
  return result;
}

function cores(): number {
  // os.availableParallelism is new in Node 18.14.
  return typeof availableParallelism === 'function' ? availableParallelism() : cpus().length;
}

let knownName: string | undefined;

/** PRETTY_NAME of os-release(5), else what uname says. */
function osName(): string {
  knownName ??= prettyName() ?? `${platform()} ${release()}`;
  return knownName;
}

function prettyName(): string | undefined {
  for (const file of ['/etc/os-release', '/usr/lib/os-release']) {
    try {
      const found = /^PRETTY_NAME="?([^"\n]+)"?$/m.exec(readFileSync(file, 'utf8'))?.[1];
      if (found !== undefined) return found;
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
    }
  }
  return undefined;
}
