/** Writing to and reading from any LogStore, as agents and readers do. */
import { expect } from 'vitest';
import type { FollowQuery, LogBatch, LogEntry, LogQuery, LogStore } from '../../src/control/logs/port.ts';
import type { LogBlock } from '../../src/shared/contracts/agent.ts';
import type { LogLine } from '../../src/shared/contracts/api.ts';

export interface LogStoreUnderTest {
  /** Opens the store on the same data as before. */
  open(): Promise<LogStore>;
  /** Ends it as `kill -9` would: nothing is flushed. */
  kill(store: LogStore): Promise<void>;
  cleanUp(): Promise<void>;
}

export const epoch = Date.parse('2024-05-01T12:00:00.000Z');

/** A sender of one stream that remembers its offset, as an agent does. */
export function sender(store: () => LogStore, about: Partial<LogBlock> = {}) {
  let offset = 0;
  const send = (
    text: string | Buffer,
    more: Partial<LogBlock> & { at?: number } = {},
  ): ReturnType<LogStore['append']> => {
    const payload = Buffer.from(text);
    const { at = 0, ...rest } = more;
    const from = rest.from ?? offset;
    offset = from + payload.length;
    const block: LogBlock = {
      type: 'logs',
      instance: 'ins_1',
      name: 'web.1',
      appId: 'app_1',
      processType: 'web',
      release: 1,
      source: 'app',
      stream: 'stdout',
      partial: false,
      dropped: { bytes: 0, lines: 0 },
      ...about,
      ...rest,
      ts: new Date(epoch + at * 1000).toISOString(),
      from,
      to: offset,
    };
    return store().append(block, payload);
  };
  return { send, offset: () => offset };
}

export const isLine = (entry: LogEntry): entry is Omit<LogLine, 'app'> => 'line' in entry;

export async function query(store: LogStore, options: Partial<LogQuery> = {}): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  for await (const batch of store.query({ appId: 'app_1', ...options })) {
    expect(batch.length).toBeGreaterThan(0);
    entries.push(...batch);
  }
  return entries;
}

export async function lines(store: LogStore, options: Partial<LogQuery> = {}): Promise<string[]> {
  return (await query(store, options)).map((entry) => (isLine(entry) ? entry.line : `gap ${entry.gap.count}`));
}

/** Reads a follow until the condition holds. */
export async function followUntil(
  store: LogStore,
  options: Partial<FollowQuery>,
  done: (entries: LogEntry[], batches: LogBatch[]) => boolean,
): Promise<{ entries: LogEntry[]; cursor: string | null }> {
  const end = new AbortController();
  const entries: LogEntry[] = [];
  const batches: LogBatch[] = [];
  let cursor: string | null = null;
  for await (const batch of store.follow({ appId: 'app_1', ...options }, end.signal)) {
    entries.push(...batch.entries);
    batches.push(batch);
    cursor = batch.cursor ?? cursor;
    if (done(entries, batches)) end.abort();
  }
  return { entries, cursor };
}
