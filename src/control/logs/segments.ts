/** The LogStore driver on append-only segment files: `<root>/<appId>/<n>.seg`. See port.ts for what it promises. */
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { LogBlock, LogPosition } from '../../shared/contracts/agent.ts';
import { asPaasError, PaasError } from '../../shared/errors.ts';
import { AppLog } from './app-log.ts';
import { Committer } from './commit.ts';
import { HandleCache } from './files.ts';
import { wantsBlock } from './filter.ts';
import { follow, liveEntries, takeSnapshot } from './follow.ts';
import { matcherOf } from './grep.ts';
import { Positions } from './positions.ts';
import type { LogStore, LogUsage } from './port.ts';
import { runQuery } from './query.ts';
import { openApp, type AppState } from './recover.ts';
import { chooseDropped, type RetentionLimits } from './retention.ts';

export interface SegmentLogOptions {
  root: string;
  /** Told of damage that was found and of what was done about it. */
  notice: (message: string) => void;
  retention?: Partial<RetentionLimits>;
  segmentBytes?: number;
  /** Longest wait before what was appended is synced. */
  commitMs?: number;
  /** How much may wait for one slow reader. */
  maxWaitingBytes?: number;
  maxOpenFiles?: number;
  clock?: () => number;
}

const MiB = 1 << 20;
const day = 86_400_000;
/** The pseudo-instance of an app whose output is the platform's own lines. */
const platformInstance = 'platform';
const appIdPattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

/** Opens all logs under a directory, which is made if it is missing. Throws `conflict` for a later version's files. */
export async function openSegmentLogStore(options: SegmentLogOptions): Promise<LogStore> {
  const { root, notice, clock = Date.now, segmentBytes = 8 * MiB } = options;
  const retention = { appBytes: 256 * MiB, totalBytes: 2048 * MiB, maxAgeMs: 7 * day, ...options.retention };
  const handles = new HandleCache(options.maxOpenFiles ?? 64);
  const logs = new Map<string, AppLog>();
  let isClosed = false;
  let segmentCount = 0;

  const makeLog = (appId: string, state: AppState): AppLog => {
    const directory = join(root, appId);
    const limits = { segmentBytes, segmentAgeMs: day, maxQueuedBytes: 64 * MiB };
    const log = new AppLog(state, { directory, handles, clock, ...limits });
    logs.set(appId, log);
    return log;
  };
  await mkdir(root, { recursive: true, mode: 0o700 });
  for (const entry of await readdir(root, { withFileTypes: true })) {
    if (!entry.isDirectory() || !appIdPattern.test(entry.name)) continue;
    makeLog(entry.name, await openApp(join(root, entry.name), handles, clock(), notice));
  }

  const logOf = (appId: string): AppLog => {
    if (isClosed) throw new PaasError('unavailable', 'the log store is closed');
    if (!appIdPattern.test(appId)) throw new PaasError('bad_request', `"${appId}" is not the id of an app`);
    return logs.get(appId) ?? makeLog(appId, freshState());
  };
  const retain = async (): Promise<void> => {
    const apps = [...logs].map(([appId, log]) => ({ appId, sealed: log.sealed, bytes: log.bytes() }));
    for (const [appId, count] of chooseDropped(apps, retention, clock())) {
      for (let i = 0; i < count; i++) await logs.get(appId)?.dropOldest();
    }
  };
  const committer = new Committer(options.commitMs ?? 50, MiB, async () => {
    const count = [...logs.values()].reduce((sum, log) => sum + log.sealed.length, 0);
    if (count <= segmentCount) return;
    await retain().catch((error: unknown) => notice(`old log segments could not be dropped: ${String(error)}`));
    segmentCount = [...logs.values()].reduce((sum, log) => sum + log.sealed.length, 0);
  });
  const append = (log: AppLog, block: LogBlock, payload: Buffer): Promise<LogPosition> => {
    const ts = Date.parse(block.ts);
    if (Number.isNaN(ts) || block.from < 0 || block.to - block.from !== payload.length) {
      throw new PaasError('bad_request', `the log block of ${block.instance} has a wrong time or length`);
    }
    const done = log.append(block, ts, payload);
    committer.mark(log);
    return done;
  };

  return {
    append: (block, payload) => attempt(() => append(logOf(block.appId), block, payload)),

    appendPlatformLine: async (appId, line) => {
      const log = logOf(appId);
      const payload = Buffer.from(`${line.text}\n`);
      const from = log.positions.offset(platformInstance, 'stdout');
      const { instance: name, processType = 'platform', release = null } = line;
      const block: LogBlock = {
        type: 'logs',
        instance: platformInstance,
        name,
        appId,
        processType,
        release,
        source: 'platform',
        stream: 'stdout',
        from,
        to: from + payload.length,
        ts: new Date(clock()).toISOString(),
        partial: false,
        dropped: { bytes: 0, lines: 0 },
      };
      await append(log, block, payload);
    },

    positions: (instances) => {
      const positions: LogPosition[] = [];
      for (const log of logs.values()) {
        for (const only of instances ?? [undefined]) positions.push(...log.positions.durable(only));
      }
      return positions.filter(({ instance }) => instance !== platformInstance);
    },

    flush: () => committer.commit(),

    query: async function* (query) {
      const log = logOf(query.appId);
      const matcher = matcherOf(query);
      try {
        yield* runQuery(await takeSnapshot(log, 0), query, matcher);
      } finally {
        await matcher?.close();
      }
    },

    follow: (query, signal) =>
      follow(logOf(query.appId), query, signal, { maxWaitingBytes: options.maxWaitingBytes ?? 4 * MiB }),

    subscribe: (filter, listener) => {
      const log = logOf(filter.appId);
      const receive = (live: Parameters<typeof liveEntries>[0]): void => {
        if (!wantsBlock(filter, live.block)) return;
        const entries = liveEntries(live);
        if (entries.length > 0) listener(entries);
      };
      log.listeners.add(receive);
      return () => void log.listeners.delete(receive);
    },

    usage: (appId) => usageOf(appId === undefined ? [...logs.values()] : [logs.get(appId)].filter((log) => !!log)),

    sweep: async (isLive) => {
      for (const log of logs.values()) {
        const newest = log.segments().at(-1);
        if (newest && clock() - newest.writtenAt > retention.maxAgeMs) await log.seal();
      }
      await retain();
      for (const [appId, log] of logs) {
        await log.prune(isLive);
        if (!log.isEmpty()) continue;
        await log.removeIfEmpty();
        if (log.isEmpty()) logs.delete(appId); // Else something arrived meanwhile.
      }
    },

    remove: async (appId) => {
      await logOf(appId).remove();
    },

    close: async () => {
      isClosed = true;
      await committer.commit();
      for (const log of logs.values()) await log.close();
      await handles.closeAll();
    },
  };
}

function freshState(): AppState {
  return { positions: new Positions(), sealed: [], active: null, nextSegment: 1, nextOrd: 0, droppedLines: 0 };
}

/** What is thrown at once as a rejection. */
function attempt<T>(work: () => Promise<T>): Promise<T> {
  try {
    return work();
  } catch (error) {
    return Promise.reject(asPaasError(error));
  }
}

function usageOf(logs: readonly AppLog[]): LogUsage {
  const usage = { bytes: 0, droppedLines: 0 };
  let oldest = Infinity;
  for (const log of logs) {
    usage.bytes += log.bytes();
    usage.droppedLines += log.droppedLines;
    for (const { ts } of log.segments()) oldest = Math.min(oldest, ts?.[0] ?? Infinity);
  }
  return { ...usage, oldest: oldest === Infinity ? null : new Date(oldest).toISOString() };
}
