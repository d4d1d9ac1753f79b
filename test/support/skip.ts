/** Tests that want something of the machine which not every machine has. */
import type { TestContext } from 'vitest';

/**
 * Skips the running test and says why when `available` is false; with PAAS_TEST_NO_SKIP=1 (set where everything is
 * installed) that is a failure.
 */
export function requireOrSkip(context: Pick<TestContext, 'skip'>, available: boolean, why: string): void {
  if (available) return;
  if (process.env['PAAS_TEST_NO_SKIP'] === '1') throw new Error(`This test must not be skipped here: ${why}`);
  context.skip(why);
}
