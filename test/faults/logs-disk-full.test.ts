import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSegmentLogStore } from '../../src/control/logs/segments.ts';
import type { LogBlock } from '../../src/shared/contracts/agent.ts';
import { requireOrSkip } from '../support/skip.ts';

const disk = mkdtempSync(join(tmpdir(), 'paas-full-'));
let isMounted = false;
beforeAll(() => {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', disk], { stdio: 'ignore' });
    isMounted = true;
  } catch {
    // No right to mount: the test says so.
  }
});
afterAll(() => {
  if (isMounted) execFileSync('umount', [disk]);
  rmSync(disk, { recursive: true, force: true });
});

describe('a disk that is full while logs are written', () => {
  it('acknowledges nothing that is not stored, and goes on when there is space', async (context) => {
    requireOrSkip(context, isMounted, 'a small disk of its own (needs the right to mount)');
    const root = join(disk, 'logs');
    const ballast = join(disk, 'ballast');
    const store = await openSegmentLogStore({ root, segmentBytes: 300_000, commitMs: 1, notice: () => undefined });
    writeFileSync(ballast, Buffer.alloc(1_500_000));
    const payload = Buffer.from(`${'x'.repeat(99)}\n`.repeat(500));
    let offset = 0;
    let refusals = 0;
    while (offset < payload.length * 40) {
      const block: LogBlock = {
        ...{ type: 'logs', instance: 'ins_1', name: 'web.1', appId: 'app', processType: 'web', release: 1 },
        ...{ source: 'app', stream: 'stdout', from: offset, to: offset + payload.length },
        ...{ ts: new Date().toISOString(), partial: false, dropped: { bytes: 0, lines: 0 } },
      };
      try {
        ({ offset } = await store.append(block, payload));
      } catch (error) {
        expect(error).toMatchObject({ code: 'disk_full', exit: 7 });
        expect(store.positions()).toEqual([{ instance: 'ins_1', stream: 'stdout', offset }]);
        if (++refusals === 3) rmSync(ballast);
        expect(refusals).toBeLessThan(10);
      }
    }
    expect(refusals).toBeGreaterThanOrEqual(3);
    let seq = 0;
    for await (const batch of store.query({ appId: 'app' })) {
      for (const entry of batch) expect('seq' in entry && entry.seq).toBe(++seq);
    }
    expect(seq).toBe(20_000);
    await store.close();
  });
});
