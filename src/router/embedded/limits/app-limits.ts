/** What an app's requests may take, with what is remembered for it from table to table. */
import type { Backend } from '../../../shared/contracts/routes.ts';
import { RateLimiter } from './rate.ts';
import { WaitingLine } from './waiting-line.ts';

const defaultQueueMs = 10_000;

export interface AppLimits {
  /** Requests and connections under way in one instance at most; Infinity: any number. */
  concurrency: number;
  /** Where requests wait for room; null where there is always room. */
  line: WaitingLine | null;
  /** How many may wait. */
  capacity: number;
  queueMs: number;
  rate: RateLimiter | null;
  /** Infinity: any size. */
  maxBodyBytes: number;
  /** undefined: as the router was configured. */
  responseMs: number | undefined;
  maintenance: { page?: string | undefined } | null;
}

/** The lines and buckets of all apps. */
export class LimitsOfApps {
  #lines = new Map<string, WaitingLine>();
  #rates = new Map<string, RateLimiter>();
  #nextLines = new Map<string, WaitingLine>();
  #nextRates = new Map<string, RateLimiter>();

  /** Of an app in a table that is being taken up; null where it has none, so that its requests need not look. */
  take({ appId, limits, maintenance, endpoints }: Backend): AppLimits | null {
    if (!limits && !maintenance) return null;
    const { concurrency, queue = 0, queueMs = defaultQueueMs, rate, maxBodyBytes, responseMs } = limits ?? {};
    return {
      concurrency: concurrency ?? Infinity,
      line: concurrency === undefined ? null : this.#line(appId),
      capacity: queue * endpoints.length,
      queueMs,
      rate: rate ? this.#rate(appId, rate) : null,
      maxBodyBytes: maxBodyBytes ?? Infinity,
      responseMs,
      maintenance: maintenance ?? null,
    };
  }

  /**
   * The table is in force: what apps do not have any more is forgotten, and the rest told to try again by the function
   * that is returned.
   */
  taken(): () => void {
    const lines = new Set([...this.#lines.values(), ...this.#nextLines.values()]);
    this.#lines = this.#nextLines;
    this.#rates = this.#nextRates;
    this.#nextLines = new Map();
    this.#nextRates = new Map();
    return () => {
      for (const line of lines) line.serve();
    };
  }

  /** Forgets clients that have not been there for a while. */
  sweep(now: number): void {
    for (const rate of this.#rates.values()) rate.sweep(now);
  }

  #line(appId: string): WaitingLine {
    let line = this.#nextLines.get(appId) ?? this.#lines.get(appId);
    if (!line) line = new WaitingLine();
    this.#nextLines.set(appId, line);
    return line;
  }

  #rate(appId: string, wanted: { perSecond: number; burst: number }): RateLimiter {
    const known = this.#nextRates.get(appId) ?? this.#rates.get(appId);
    const same = known?.perSecond === wanted.perSecond && known.burst === wanted.burst;
    const rate = same ? known : new RateLimiter(wanted);
    this.#nextRates.set(appId, rate);
    return rate;
  }
}
