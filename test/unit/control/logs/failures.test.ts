import { mkdirSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { AppLog, type Live } from '../../../../src/control/logs/app-log.ts';
import { HandleCache } from '../../../../src/control/logs/files.ts';
import { liveEntries, takeSnapshot } from '../../../../src/control/logs/follow.ts';
import { runQuery } from '../../../../src/control/logs/query.ts';
import type { LogBatch } from '../../../../src/control/logs/port.ts';
import { openApp } from '../../../../src/control/logs/recover.ts';
import { block, open, temporaryDirectory, texts, writeLines } from './store.ts';

const directory = temporaryDirectory();

/** Real files on a disk that can be full: writes fail as the system's do, half way. */
class FullDisk extends HandleCache {
  failing: 'write' | 'sync' | null = null;

  override use<T>(path: string, work: (file: FileHandle) => Promise<T>): Promise<T> {
    return super.use(path, async (file) => {
      if (this.failing === null) return work(file);
      if (this.failing === 'write') await file.write(Buffer.from('half a fra'), 0, 10, (await file.stat()).size);
      else await work(file);
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    });
  }
}

async function openLog(root: string, disk: FullDisk): Promise<AppLog> {
  const path = join(root, 'app');
  const state = await openApp(path, disk, Date.now(), () => undefined);
  const sizes = { segmentBytes: 1 << 20, segmentAgeMs: 1e9, maxQueuedBytes: 1000 };
  return new AppLog(state, { directory: path, handles: disk, clock: Date.now, ...sizes });
}

async function stored(log: AppLog): Promise<string[]> {
  const found: string[] = [];
  for await (const batch of runQuery(await takeSnapshot(log, 0), { appId: 'app' }, null)) {
    for (const entry of batch) found.push('line' in entry ? `${entry.seq} ${entry.line}` : `gap ${entry.gap.count}`);
  }
  return found;
}

const append = (log: AppLog, from: number, text: string) =>
  log.append(block({ from, to: from + text.length }), 0, Buffer.from(text));

describe.each(['write', 'sync'] as const)('a disk that is full at a %s', (failing) => {
  it('acknowledges nothing, and goes on with the same numbers when there is space', async () => {
    const disk = new FullDisk(4);
    const log = await openLog(directory(), disk);
    const seen: string[] = [];
    log.listeners.add((live: Live) => {
      for (const entry of liveEntries(live)) if ('line' in entry) seen.push(`${entry.seq} ${entry.line}`);
    });
    const first = append(log, 0, 'one\n');
    await log.commit();
    await first;

    disk.failing = failing;
    const refused = [append(log, 4, 'two\n'), append(log, 8, 'three\nfour\n')];
    const outcomes = Promise.allSettled(refused);
    await log.commit();
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'disk_full' } });
    }
    expect([...log.positions.durable()]).toEqual([{ instance: 'ins_1', stream: 'stdout', offset: 4 }]);
    expect(await stored(log)).toEqual(['1 one']);
    // What was under way is no gap: it is refused until the sender begins again at the position.
    expect(() => append(log, 19, 'five\n')).toThrow(expect.objectContaining({ code: 'unavailable' }));
    expect(log.queuedBytes).toBe(0);

    disk.failing = null;
    const again = append(log, 4, 'two\nthree\nfour\nfive\n');
    await log.commit();
    expect(await again).toMatchObject({ offset: 24 });
    expect(await stored(log)).toEqual(['1 one', '2 two', '3 three', '4 four', '5 five']);
    expect(seen).toEqual(['1 one', '2 two', '3 three', '4 four', '5 five']);
    await log.close();

    const reopened = await openLog(directory(), disk);
    expect(await stored(reopened)).toEqual(['1 one', '2 two', '3 three', '4 four', '5 five']);
    await reopened.close();
    await disk.closeAll();
  });
});

describe('a disk that is slow', () => {
  it('turns away what does not fit into memory, without a gap', async () => {
    const disk = new FullDisk(4);
    const log = await openLog(directory(), disk);
    const first = append(log, 0, `${'x'.repeat(899)}\n`);
    expect(() => append(log, 900, `${'y'.repeat(199)}\n`)).toThrow(expect.objectContaining({ code: 'unavailable' }));
    expect(() => append(log, 1100, 'z\n')).toThrow(expect.objectContaining({ code: 'unavailable' }));
    await log.commit();
    await first;
    const second = append(log, 900, 'y\n');
    await log.commit();
    await second;
    expect(await stored(log)).toEqual([`1 ${'x'.repeat(899)}`, '2 y']);
    await log.close();
    await disk.closeAll();
  });
});

describe('files', () => {
  it('are kept open for few logs, however many there are', async () => {
    const handles = new FullDisk(2);
    const root = directory();
    mkdirSync(root, { recursive: true });
    const { store } = await open(root, { maxOpenFiles: 3 });
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 12; i++) {
        await writeLines(store, ['x'], round * 2, { appId: `app${i}`, instance: `ins_${i}` });
      }
    }
    expect(await texts(store, 'app11')).toEqual(['x', 'x', 'x']);
    await store.close();
    await handles.closeAll();
  });
});

describe('retention', () => {
  const long = { ts: '2024-05-01T12:00:00.000Z' };

  it('drops whole segments over the limit and says so, but keeps positions', async () => {
    const { store } = await open(directory(), {
      segmentBytes: 1000,
      retention: { appBytes: 5000, totalBytes: 1e9, maxAgeMs: 1e12 },
    });
    const lines = Array.from({ length: 200 }, (_, i) => `line ${i} ${'x'.repeat(50)}`);
    await writeLines(store, ['quiet'], 0, { instance: 'ins_quiet' });
    const end = await writeLines(store, lines);
    await store.flush();
    const found = await texts(store);
    expect(found.length).toBeLessThan(100);
    expect(found).toEqual(lines.slice(-found.length));
    expect(store.usage('app').bytes).toBeLessThan(8000);
    expect(store.usage('app').droppedLines).toBe(201 - found.length);
    await writeLines(store, ['more'], end, long);
    await store.sweep((instance) => instance === 'ins_quiet');
    expect(store.positions(['ins_quiet'])).toHaveLength(1);
    await store.sweep(() => false);
    expect(store.positions(['ins_quiet'])).toEqual([]);
    expect(store.positions(['ins_1'])).toHaveLength(1);
    await store.close();
  });

  it('drops what is old, though nothing is written any more, and in the end the app', async () => {
    let now = Date.now();
    const root = directory();
    const { store } = await open(root, {
      clock: () => now,
      retention: { appBytes: 1e9, totalBytes: 1e9, maxAgeMs: 1000 },
    });
    await writeLines(store, ['old']);
    now += 1001;
    await store.sweep(() => true);
    expect(await texts(store)).toEqual([]);
    expect(store.positions()).toHaveLength(1);
    await store.sweep(() => false);
    expect(store.usage()).toEqual({ bytes: 0, oldest: null, droppedLines: 0 });
    await store.close();
  });

  it('shows a follower what it missed', async () => {
    const { store } = await open(directory(), {
      segmentBytes: 1000,
      maxWaitingBytes: 100,
      retention: { appBytes: 3000, totalBytes: 1e9, maxAgeMs: 1e12 },
    });
    const end = new AbortController();
    const reader = store.follow({ appId: 'app' }, end.signal)[Symbol.asyncIterator]();
    const first = await writeLines(store, ['first']);
    await reader.next();
    await writeLines(
      store,
      Array.from({ length: 200 }, (_, i) => `line ${i} ${'x'.repeat(50)}`),
      first,
    );
    let gap = 0;
    let last = '';
    while (!last.startsWith('line 199')) {
      const { value } = (await reader.next()) as IteratorYieldResult<LogBatch>;
      for (const entry of value.entries) {
        if ('gap' in entry) gap += entry.gap.count;
        else last = entry.line;
      }
    }
    expect(gap).toBeGreaterThan(100);
    end.abort();
    await reader.next();
    await store.close();
  });
});
