/** What clients were told is there, and so must stay until their push is over. In memory: `collect` rests after a start. */
export class Leases {
  /** Goes up with every digest that is pinned anew. */
  version = 0;
  /** Digest -> when it was pinned last, the oldest first. */
  readonly #leases = new Map<string, { expiresAt: number; digests: Map<string, number> }>();
  readonly durationMs: number;
  readonly #longestMs: number;
  readonly #now: () => number;

  /**
   * @param durationMs how long a lease lives without a sign of life
   * @param longestMs how long a digest is held although its lease lives on: a lease may be that of a machine which pushes
   * day and night, and must be longer than any one push
   */
  constructor(durationMs: number, longestMs: number, now: () => number) {
    this.durationMs = durationMs;
    this.#longestMs = longestMs;
    this.#now = now;
  }

  pin(lease: string, digests: Iterable<string>): void {
    this.#forgetExpired();
    const now = this.#now();
    let held = this.#leases.get(lease);
    if (!held) this.#leases.set(lease, (held = { expiresAt: 0, digests: new Map() }));
    held.expiresAt = now + this.durationMs;
    for (const digest of digests) {
      // Behind all others, which keeps the order.
      if (!held.digests.delete(digest)) this.version++;
      held.digests.set(digest, now);
    }
  }

  renew(lease: string): void {
    this.pin(lease, []);
  }

  /** All that is pinned now. */
  *active(): Generator<string> {
    this.#forgetExpired();
    for (const held of this.#leases.values()) yield* held.digests.keys();
  }

  #forgetExpired(): void {
    const now = this.#now();
    for (const [lease, { expiresAt, digests }] of this.#leases) {
      if (expiresAt < now) this.#leases.delete(lease);
      for (const [digest, pinnedAt] of digests) {
        if (pinnedAt >= now - this.#longestMs) break;
        digests.delete(digest);
      }
    }
  }
}
