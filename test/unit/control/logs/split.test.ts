import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LogBatch, LogQuery, LogStore } from '../../../../src/control/logs/port.ts';
import { openSegmentLogStore } from '../../../../src/control/logs/segments.ts';
import { splitLogs } from '../../../../src/control/logs/split.ts';
import type { LogBlock } from '../../../../src/shared/contracts/agent.ts';

let root: string;
let logs: LogStore;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'paas-split-'));
  const notice = (message: string): never => {
    throw new Error(message);
  };
  logs = splitLogs(
    await openSegmentLogStore({ root: join(root, 'logs'), notice }),
    await openSegmentLogStore({
      root: join(root, 'router-logs'),
      notice,
      segmentBytes: 2000,
      retention: { appBytes: 4000 },
    }),
  );
});
afterEach(async () => {
  await logs.close();
  rmSync(root, { recursive: true });
});

const access = 'rtr_hst_1/app_1/a';
const offsets = new Map<string, number>();
beforeEach(() => offsets.clear());

function append(source: LogBlock['source'], text: string): Promise<unknown> {
  const instance = source === 'router' ? access : 'ins_1';
  const payload = Buffer.from(`${text}\n`);
  const from = offsets.get(instance) ?? 0;
  offsets.set(instance, from + payload.length);
  const name = source === 'router' ? 'router' : 'web.1';
  return logs.append(
    {
      ...{ type: 'logs', instance, name, appId: 'app_1', processType: name.slice(0, 3), stream: 'stdout' },
      ...{ release: source === 'router' ? null : 1, source, from, to: from + payload.length, partial: false },
      ...{ ts: new Date().toISOString(), dropped: { bytes: 0, lines: 0 } },
    },
    payload,
  );
}

async function lines(query: Partial<LogQuery> = {}): Promise<string[]> {
  const found: string[] = [];
  for await (const entries of logs.query({ appId: 'app_1', ...query }))
    for (const entry of entries) if ('line' in entry) found.push(entry.line);
  return found;
}

const request = (path: string, instance: string, release: number): string =>
  `method=GET path=${path} status=200 instance=${instance} release=${release} client=10.0.0.1`;

describe('access lines beside the output of an app', () => {
  it('are shown alone, and only when they are asked for', async () => {
    await append('app', 'begins');
    await append('router', request('/', 'web.1', 1));
    await logs.appendPlatformLine('app_1', { instance: 'web.1', text: 'is healthy' });
    expect(await lines()).toEqual(['begins', 'is healthy']);
    expect(await lines({ source: 'router' })).toEqual([request('/', 'web.1', 1)]);
    expect(logs.positions().map(({ instance }) => instance)).toEqual(['ins_1', access]);
  });

  it('never push output out, however many there are', async () => {
    await append('app', 'begins');
    const twenty = (round: number): Promise<unknown>[] =>
      Array.from({ length: 20 }, (_, n) => append('router', request(`/${round * 20 + n}`, 'web.1', 1)));
    for (let round = 0; round < 10; round++) await Promise.all(twenty(round));
    await logs.sweep(() => true);
    const left = await lines({ source: 'router' });
    expect(left.length).toBeLessThan(100);
    expect(left.at(-1)).toContain('path=/199 ');
    expect(await lines()).toEqual(['begins']);
  });

  it('are found by who answered, beside an expression', async () => {
    await append('router', request('/a', 'web.1', 1));
    await append('router', request('/a', 'web.11', 12));
    await append('router', request('/b', 'web.2', 12));
    await append('router', request('/a', 'api.1', 1));
    const find = async (query: Partial<LogQuery>): Promise<string[]> =>
      (await lines({ source: 'router', ...query })).map((line) => / instance=(\S+) /.exec(line)![1]!);
    expect(await find({ release: 1 })).toEqual(['web.1', 'api.1']);
    expect(await find({ release: 12, grep: 'path=/a' })).toEqual(['web.11']);
    expect(await find({ instance: 'web.1' })).toEqual(['web.1']);
    expect(await find({ processType: 'web', grep: '(?i)PATH=/A' })).toEqual(['web.1', 'web.11']);
    expect(await find({ release: 12, tail: 1 })).toEqual(['web.2']);
    expect(await find({ release: 1, grep: '^method=GET' })).toEqual(['web.1', 'api.1']);
  });

  it('are followed by any number of people at once, as no expression of theirs is run', async () => {
    await append('router', request('/a', 'web.1', 1));
    await append('router', request('/b', 'api.1', 1));
    const end = new AbortController();
    const first = async (): Promise<string[]> => {
      const about = { appId: 'app_1', source: 'router', processType: 'web', release: 1 } as const;
      const reader = logs.follow(about, end.signal)[Symbol.asyncIterator]();
      const { value } = (await reader.next()) as { value: LogBatch };
      return value.entries.flatMap((entry) => ('line' in entry ? [entry.line] : []));
    };
    const found = await Promise.all(Array.from({ length: 6 }, first));
    end.abort();
    expect(found).toEqual(found.map(() => [request('/a', 'web.1', 1)]));
  });

  it('go with the app', async () => {
    await append('app', 'begins');
    await append('router', request('/', 'web.1', 1));
    await logs.remove('app_1');
    expect([...(await lines()), ...(await lines({ source: 'router' }))]).toEqual([]);
    expect(logs.usage('app_1').bytes).toBe(0);
  });
});
