/**
 * Who waits for an instance of an app that takes no more for now: first come, first served, as far as an instance is one
 * that it may go to.
 *
 *   enter ──► waiting ──serve: attempt finds room──► left
 *               │ └──────its time is over: expire──► left
 *               └──────────its client goes: leave──► left
 */

/** One that waits. */
export interface Waiter {
  /** Those that it may go to: the same list for all that may go to the same ones. */
  readonly choices: unknown;
  /** Tries again; calls `leave` unless it still has to wait. */
  attempt(): void;
  /** It waited too long, and has left. */
  expire(): void;
}

export class WaitingLine {
  /** With the moment (ms) when it has waited too long. A Map keeps the order of arrival. */
  readonly #waiting = new Map<Waiter, number>();
  #timer: NodeJS.Timeout | null = null;

  get length(): number {
    return this.#waiting.size;
  }

  /**
   * Lines up at the end, or keeps the place that it has.
   * @param capacity how many may wait
   * @param ms how long it may wait
   * @returns false where the line is full
   */
  enter(waiter: Waiter, capacity: number, ms: number): boolean {
    if (this.#waiting.has(waiter)) return true;
    if (this.#waiting.size >= capacity) return false;
    this.#waiting.set(waiter, performance.now() + ms);
    this.#timer ??= this.#wakeIn(ms);
    return true;
  }

  leave(waiter: Waiter): void {
    this.#waiting.delete(waiter);
    if (this.#waiting.size > 0 || !this.#timer) return;
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  /**
   * There may be room: lets them try in their order.
   * @param rooms for how many at most; default: any number
   */
  serve(rooms = Infinity): void {
    if (this.#waiting.size === 0) return;
    const full = new Set<unknown>();
    for (const waiter of this.#waiting.keys()) {
      if (full.has(waiter.choices)) continue;
      waiter.attempt();
      if (this.#waiting.has(waiter)) full.add(waiter.choices);
      else if (--rooms <= 0) return;
    }
  }

  #expire(): void {
    this.#timer = null;
    const now = performance.now();
    let next = Infinity;
    for (const [waiter, until] of this.#waiting) {
      if (until > now) {
        next = Math.min(next, until);
        continue;
      }
      this.#waiting.delete(waiter);
      waiter.expire();
    }
    if (this.#waiting.size > 0) this.#timer ??= this.#wakeIn(Math.max(1, next - now));
  }

  #wakeIn(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#expire(), Math.ceil(ms)).unref();
  }
}
