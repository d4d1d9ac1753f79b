/** What clients were told is there, and so must stay until their push is over. In memory: `collect` rests after a start. */
export class Leases {
  /** Goes up with every digest that is pinned anew. */
  version = 0;
  readonly #leases = new Map<string, { expiresAt: number; digests: Set<string> }>();
  readonly durationMs: number;
  readonly #now: () => number;

  constructor(durationMs: number, now: () => number) {
    this.durationMs = durationMs;
    this.#now = now;
  }

  pin(lease: string, digests: Iterable<string>): void {
    let held = this.#leases.get(lease);
    if (!held || held.expiresAt < this.#now()) {
      this.#forgetExpired();
      held = { expiresAt: 0, digests: new Set() };
      this.#leases.set(lease, held);
    }
    held.expiresAt = this.#now() + this.durationMs;
    for (const digest of digests) {
      if (held.digests.has(digest)) continue;
      held.digests.add(digest);
      this.version++;
    }
  }

  renew(lease: string): void {
    this.pin(lease, []);
  }

  /** All that is pinned now. */
  *active(): Generator<string> {
    this.#forgetExpired();
    for (const held of this.#leases.values()) yield* held.digests;
  }

  #forgetExpired(): void {
    for (const [lease, held] of this.#leases) if (held.expiresAt < this.#now()) this.#leases.delete(lease);
  }
}
