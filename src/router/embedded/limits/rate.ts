/**
 * Requests per second by client: a token bucket for each, kept as the one number that the generic cell rate algorithm
 * (ITU-T I.371) needs: when the bucket will be full again. Who has a full bucket is not remembered.
 */

/** Clients that are remembered at a time; of more, those that asked longest ago begin with a full bucket again. */
const maxClients = 50_000;

export class RateLimiter {
  readonly perSecond: number;
  readonly burst: number;
  /** ms until one more token is there. */
  readonly #interval: number;
  readonly #max: number;
  /** By client, those served longest ago first: when its bucket is full (ms). */
  readonly #fullAt = new Map<string, number>();

  constructor(rate: { perSecond: number; burst: number }, max = maxClients) {
    this.perSecond = rate.perSecond;
    this.burst = rate.burst;
    this.#interval = 1000 / rate.perSecond;
    this.#max = max;
  }

  /**
   * Takes a token of the client's.
   * @param now ms of a clock that never goes back
   * @returns 0, or how many ms it takes until there will be one
   */
  take(client: string, now: number): number {
    const known = this.#fullAt.get(client);
    const before = known === undefined || known < now ? now : known;
    // Full minus what `burst - 1` tokens take: later than that not even one is left.
    const wait = before - (this.burst - 1) * this.#interval - now;
    if (wait > 0) return wait;
    // Behind the others, so that the first in the map is the one that asked longest ago.
    if (known !== undefined) this.#fullAt.delete(client);
    else if (this.#fullAt.size >= this.#max) this.#forgetOne(now);
    this.#fullAt.set(client, before + this.#interval);
    return 0;
  }

  /** Forgets clients whose bucket is full. */
  sweep(now: number): void {
    for (const [client, fullAt] of this.#fullAt) if (fullAt <= now) this.#fullAt.delete(client);
  }

  get clients(): number {
    return this.#fullAt.size;
  }

  #forgetOne(now: number): void {
    this.sweep(now);
    const oldest = this.#fullAt.size >= this.#max ? this.#fullAt.keys().next().value : undefined;
    if (oldest !== undefined) this.#fullAt.delete(oldest);
  }
}
