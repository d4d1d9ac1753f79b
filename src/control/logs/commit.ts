/**
 * Group commit: what several senders append within a short time is synced together. A commit begins at the earliest
 * `delayMs` after the one before, sooner when much is waiting; a slow disk makes the groups larger by itself.
 */
import type { AppLog } from './app-log.ts';

export class Committer {
  readonly #delayMs: number;
  readonly #maxWaitingBytes: number;
  readonly #afterCommit: () => Promise<void>;
  readonly #dirty = new Set<AppLog>();
  #isUrgent = false;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;

  constructor(delayMs: number, maxWaitingBytes: number, afterCommit: () => Promise<void>) {
    this.#delayMs = delayMs;
    this.#maxWaitingBytes = maxWaitingBytes;
    this.#afterCommit = afterCommit;
  }

  /** To be called after each append. */
  mark(log: AppLog): void {
    this.#dirty.add(log);
    this.#schedule(log.queuedBytes >= this.#maxWaitingBytes);
  }

  /** Commits what was marked before; never rejects, since those who appended are told. */
  async commit(): Promise<void> {
    if (this.#running) await this.#running; // It may have begun before the newest appends.
    if (this.#dirty.size > 0) this.#running ??= this.#run();
    await this.#running;
  }

  #schedule(isUrgent: boolean): void {
    if (this.#running || this.#isUrgent || (this.#timer && !isUrgent)) return;
    if (this.#timer) clearTimeout(this.#timer);
    this.#isUrgent = isUrgent;
    this.#timer = setTimeout(() => void this.commit(), isUrgent ? 0 : this.#delayMs);
  }

  async #run(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    this.#isUrgent = false;
    const logs = [...this.#dirty];
    this.#dirty.clear();
    const next = logs.values();
    const worker = async (): Promise<void> => {
      for (const log of next) await log.commit();
    };
    try {
      await Promise.all([worker(), worker(), worker(), worker()]);
      await this.#afterCommit();
    } finally {
      this.#running = null;
      const isUrgent = [...this.#dirty].some((log) => log.queuedBytes >= this.#maxWaitingBytes);
      if (this.#dirty.size > 0) this.#schedule(isUrgent);
    }
  }
}
