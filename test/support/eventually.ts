/** Waiting for a condition, long enough for a busy machine. */
import { expect } from 'vitest';

/** `expect.poll` with a limit that says "never" rather than "slow". */
export function eventually<T>(look: () => T): ReturnType<typeof expect.poll<T>> {
  return expect.poll(look, { timeout: 20_000, interval: 20 });
}
