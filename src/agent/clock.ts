/** Time as the agent's loops need it, so that tests can let it pass. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Milliseconds since some moment, for spans: nobody sets it, and it stands still while the machine sleeps. */
  monotonic(): number;
  /** Resolves after some milliseconds, or at once when the signal is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep(ms, signal) {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      if (signal.aborted) done();
      else signal.addEventListener('abort', done);
    });
  },
};

/** Between 0.9 and 1.1 of a time, so that hundreds of instances do not act at once. */
export const jittered = (ms: number): number => ms * (0.9 + 0.2 * Math.random());
