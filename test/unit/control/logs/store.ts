/** Helpers for tests of the segment files themselves. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import type { LogEntry, LogStore } from '../../../../src/control/logs/port.ts';
import { openSegmentLogStore, type SegmentLogOptions } from '../../../../src/control/logs/segments.ts';
import type { LogBlock } from '../../../../src/shared/contracts/agent.ts';

/** A directory that is removed after each test. */
export function temporaryDirectory(): () => string {
  let path = '';
  afterEach(() => {
    if (path) rmSync(path, { recursive: true, force: true });
    path = '';
  });
  return () => (path ||= mkdtempSync(join(tmpdir(), 'paas-segments-')));
}

export async function open(root: string, options: Partial<SegmentLogOptions> = {}) {
  const notices: string[] = [];
  const store = await openSegmentLogStore({ root, commitMs: 1, notice: (text) => notices.push(text), ...options });
  return { store, notices };
}

export function block(about: Partial<LogBlock> & { from: number; to: number }): LogBlock {
  return {
    ...{ type: 'logs', instance: 'ins_1', name: 'web.1', appId: 'app', processType: 'web', release: 1 },
    ...{ source: 'app', stream: 'stdout', ts: '2024-05-01T12:00:00.000Z', partial: false },
    ...{ dropped: { bytes: 0, lines: 0 } },
    ...about,
  };
}

export async function texts(store: LogStore, appId = 'app'): Promise<string[]> {
  const found: LogEntry[] = [];
  for await (const batch of store.query({ appId })) found.push(...batch);
  return found.map((entry) => ('line' in entry ? entry.line : `gap ${entry.gap.count}`));
}

/** Appends lines one by one, each as a block that is durable before the next. */
export async function writeLines(store: LogStore, lines: string[], from = 0, about: Partial<LogBlock> = {}) {
  let offset = from;
  for (const line of lines) {
    const payload = Buffer.from(`${line}\n`);
    await store.append(block({ ...about, from: offset, to: offset + payload.length }), payload);
    offset += payload.length;
  }
  return offset;
}
