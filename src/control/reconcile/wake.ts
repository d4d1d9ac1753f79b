/**
 * Level-triggered wake-ups: whoever changes something says what to look at again; the loops look at the whole truth
 * each time, so a lost or doubled wake-up does no harm.
 */
export interface Wake {
  app(appId: string): void;
  hosts(): void;
  routes(): void;
  /** Everything that may have waited for a host. */
  waiting(): void;
}

/**
 * Runs `work` for keys that were asked for: never twice at once for one key, once more when asked for while running.
 * Errors go to `onError`; the key is tried again at the next wake-up or tick.
 */
export class KeyedLoop {
  readonly #work: (key: string) => Promise<void>;
  readonly #onError: (key: string, error: unknown) => void;
  readonly #running = new Map<string, Promise<void>>();
  readonly #again = new Set<string>();
  #closed = false;

  constructor(work: (key: string) => Promise<void>, onError: (key: string, error: unknown) => void) {
    this.#work = work;
    this.#onError = onError;
  }

  wake(key: string): void {
    if (this.#closed) return;
    if (this.#running.has(key)) {
      this.#again.add(key);
      return;
    }
    this.#running.set(key, this.#run(key));
  }

  async #run(key: string): Promise<void> {
    do {
      this.#again.delete(key);
      try {
        await this.#work(key);
      } catch (error) {
        this.#onError(key, error);
      }
    } while (this.#again.has(key) && !this.#closed);
    this.#running.delete(key);
  }

  /** Stops taking work and waits for what runs. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#running.values());
  }
}
