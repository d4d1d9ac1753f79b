import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/** What a test waits for comes late on a machine that does other things as well; within a test's own limit, to be named. */
const poll = { timeout: 15_000, interval: 20 };

/** Quick tests first, whole platforms last, three at a time: each is a dozen processes that mostly wait. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          expect: { poll },
          include: ['test/unit/**/*.test.ts', 'test/architecture/**/*.test.ts'],
          // They take milliseconds; this is for machines that do other things as well, and longer than what is waited for.
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // They wait for processes more than they compute.
          maxWorkers: 2 * availableParallelism(),
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'conformance',
          expect: { poll },
          include: ['test/conformance/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'e2e',
          expect: { poll },
          include: ['test/e2e/**/*.test.ts', 'test/faults/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 120_000,
          maxWorkers: 3,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
