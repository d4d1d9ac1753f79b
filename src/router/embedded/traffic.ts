/** What releases have answered: plain counters, cheap enough for every request. */
import { randomUUID } from 'node:crypto';
import { latencyBounds, type RouterTraffic, type TrafficCount } from '../../shared/contracts/routes.ts';

/** Ended requests of one release of an app. */
export class ReleaseCounter {
  readonly appId: string;
  readonly release: number;
  readonly classes = [0, 0, 0, 0, 0];
  /** Made with the first request: most of ten thousand apps sleep. */
  #latency: number[] | null = null;

  constructor(appId: string, release: number) {
    this.appId = appId;
    this.release = release;
  }

  /** A request ended: its status, and ms from its head to the end of the answer (not counted for a 101). */
  ended(status: number, ms: number): void {
    // RFC 9110, 15: what is beyond 599 is read as 5xx.
    this.classes[Math.min(Math.floor(status / 100), 5) - 1]!++;
    this.#latency ??= latencyBounds.concat(0).fill(0);
    if (status !== 101) this.#latency[bucketOf(ms)]!++;
  }

  /** @param open requests and connections under way. Null where there never was one. */
  read(open: number): TrafficCount | null {
    if (!this.#latency && open === 0) return null;
    const { appId, release, classes } = this;
    return { appId, release, classes, latency: this.#latency ?? latencyBounds.concat(0).fill(0), open };
  }
}

/** The bucket of the latency histogram: the first whose upper bound is not exceeded, else the last. */
export function bucketOf(ms: number): number {
  let low = 0;
  let high = latencyBounds.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ms <= latencyBounds[middle]!) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Counters of releases without an endpoint that are kept, for those that come back (a cancelled rollout). */
const maxGone = 10_000;

/** All counters of this process. */
export class Traffic {
  readonly #epoch = randomUUID();
  readonly #counters = new Map<string, ReleaseCounter>();

  /** The counter of a release, always the same one. */
  of(appId: string, release: number): ReleaseCounter {
    const key = `${appId} ${release}`;
    let counter = this.#counters.get(key);
    if (!counter) this.#counters.set(key, (counter = new ReleaseCounter(appId, release)));
    return counter;
  }

  /** Forgets the oldest of those that are not in use, where they are many. */
  prune(used: ReadonlySet<ReleaseCounter>): void {
    let excess = this.#counters.size - used.size - maxGone;
    if (excess <= 0) return;
    for (const [key, counter] of this.#counters) {
      if (used.has(counter)) continue;
      this.#counters.delete(key);
      if (--excess <= 0) return;
    }
  }

  /** @param open requests and connections under way by counter */
  read(open: ReadonlyMap<ReleaseCounter, number>): RouterTraffic {
    const counts: TrafficCount[] = [];
    for (const counter of this.#counters.values()) {
      const count = counter.read(open.get(counter) ?? 0);
      if (count) counts.push(count);
    }
    return { epoch: this.#epoch, counts };
  }
}
