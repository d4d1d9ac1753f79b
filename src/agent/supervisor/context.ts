/** What all instances of a host share. */
import type { BaseRef } from '../../shared/contracts/instances.ts';
import type { Clock } from '../clock.ts';
import type { Limits } from '../limits/port.ts';
import type { Log } from '../log.ts';
import type { LogSource } from '../logs/source.ts';
import type { Base } from '../runtimes/port.ts';
import type { Runtimes } from '../runtimes/registry.ts';

export interface Trees {
  /** Makes sure that the whole tree is on this host. */
  ensure(tree: string): Promise<void>;
  /** Makes `dest` (which does not exist yet) with the tree's content, owned by `owner`. */
  materialise(tree: string, dest: string, owner?: { uid: number; gid: number }): Promise<void>;
}

export interface Bases {
  resolve(base: BaseRef): Promise<Base>;
  /** Keeps a base on this host until the answer is called. */
  hold(base: BaseRef): () => void;
}

/** Where the output of instances goes: the log shipper. */
export interface LogSink {
  /** Output may come from now on. Without effect for a source that is there already. */
  add(source: LogSource): void;
  /** No more output will come. */
  end(instance: string): void;
  /** The files are about to be removed. */
  remove(instance: string): void;
}

export interface InstanceContext {
  /** Where instance directories are. */
  directory: string;
  /** The address instances are reached at. */
  address: string;
  trees: Trees;
  bases: Bases;
  runtimes: Runtimes;
  limits: Limits;
  log: Log;
  logs: LogSink;
  clock: Clock;
  /** A free port, promised to nobody else until it is released. */
  choosePort(): Promise<number>;
  releasePort(port: number): void;
  /** Runs few starts at once, so that hundreds at boot do not starve one another. For work of this host alone. */
  inTurn<T>(work: () => Promise<T>): Promise<T>;
  changed(id: string): void;
}
