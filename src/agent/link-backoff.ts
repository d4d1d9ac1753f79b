import { equalJitter } from '../shared/jitter.ts';

/** Waiting times between attempts: doubled from `minMs` to `maxMs`, each with equal jitter. */
export interface Backoff {
  next(): number;
  reset(): void;
}

export function createBackoff(minMs: number, maxMs: number, random: () => number = Math.random): Backoff {
  let ceiling = minMs;
  return {
    next() {
      const wait = equalJitter(ceiling, random);
      ceiling = Math.min(maxMs, ceiling * 2);
      return wait;
    },
    reset() {
      ceiling = minMs;
    },
  };
}

/** Waits `ms`; rejects with the signal's reason when it is aborted first. */
export function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}
