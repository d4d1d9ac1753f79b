import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LogStore } from '../../src/control/logs/port.ts';
import { openSegmentLogStore } from '../../src/control/logs/segments.ts';
import { logStoreSuite } from './logstore.suite.ts';

for (const [name, segmentBytes] of [
  ['segment files', 8 << 20],
  ['segment files, a new one after every few lines', 300],
] as const) {
  logStoreSuite(name, async () => {
    const killed: LogStore[] = [];
    const root = await mkdtemp(join(tmpdir(), 'paas-logs-'));
    return {
      open: () =>
        openSegmentLogStore({ root, segmentBytes, commitMs: 5, maxWaitingBytes: 100_000, notice: () => undefined }),
      // What is on disk is what a kill leaves; nothing of the old store is waited for.
      kill: (store) => Promise.resolve(void killed.push(store)),
      cleanUp: async () => {
        for (const store of killed) await store.close();
        await rm(root, { recursive: true, force: true });
      },
    };
  });
}
