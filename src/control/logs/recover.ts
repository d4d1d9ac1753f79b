/**
 * Opening an app's directory: the newest segment's head tells of all earlier ones, its blocks of what came since. A
 * torn tail (a write that a crash cut short, never acknowledged) is cut off; nothing else is deleted.
 */
import { mkdir, readdir, readFile, rename, rm, stat, truncate } from 'node:fs/promises';
import { ActiveSegment, originKey } from './active.ts';
import { segmentNumber, segmentPath, syncDirectory, type HandleCache } from './files.ts';
import { Positions } from './positions.ts';
import { scanSegment, type Head, type SegmentScan, type Summary } from './segment.ts';
import { SummaryBuilder } from './summary.ts';

export interface AppState {
  positions: Positions;
  /** Complete segments, oldest first. */
  sealed: Summary[];
  active: ActiveSegment | null;
  nextSegment: number;
  nextOrd: number;
  droppedLines: number;
}

interface ScannedSegment {
  n: number;
  scan: SegmentScan;
  size: number;
  /** When the file was last written. */
  writtenAt: number;
}

/**
 * What is stored of an app, made durable. `notice` is told of everything that was not as it should be. Throws
 * `conflict` for files of a later version.
 */
export async function openApp(
  directory: string,
  handles: HandleCache,
  now: number,
  notice: (message: string) => void,
): Promise<AppState> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const numbers = (await readdir(directory)).map(segmentNumber).filter((n) => n !== null);
  numbers.sort((a, b) => a - b);
  const lastNumber = numbers.at(-1) ?? 0;
  const scanned = await scanBack(directory, numbers, now, notice);

  const heads = scanned.flatMap(({ scan }) => scan.head ?? []);
  const base = heads[0];
  const newest = heads.at(-1);
  const positions = Positions.from(base?.positions ?? []);
  const state: AppState = {
    positions,
    sealed: await earlierSummaries(directory, numbers, scanned, newest, now, notice),
    active: null,
    nextSegment: lastNumber + 1,
    nextOrd: newest?.ord ?? 0,
    droppedLines: droppedLines(newest, numbers),
  };
  for (const segment of scanned) {
    const { n, scan } = segment;
    for (const block of scan.blocks) {
      const end = block.from + block.bytes;
      positions.restore(block.origin.id, block.stream, end, block.seq + block.lines, block.ts);
    }
    const summary = summarize(segment);
    state.nextOrd = Math.max(state.nextOrd, summary.nextOrd);
    if (n === numbers.at(-1)) state.active = await reopen(directory, handles, summary, scan, now);
    else state.sealed.push(summary.take());
  }
  return state;
}

/** Scans from the newest segment back to one with a sound head; oldest first. Takes unusable ones out of `numbers`. */
async function scanBack(
  directory: string,
  numbers: number[],
  now: number,
  notice: (message: string) => void,
): Promise<ScannedSegment[]> {
  const scanned: ScannedSegment[] = [];
  for (let i = numbers.length - 1; i >= 0; i--) {
    const n = numbers[i]!;
    const isNewest = scanned.length === 0;
    const segment = await scan(directory, n, isNewest, now, notice);
    if (!segment) {
      numbers.splice(i, 1);
      continue;
    }
    scanned.unshift(segment);
    if (segment.scan.head) break;
  }
  return scanned;
}

async function scan(
  directory: string,
  n: number,
  isNewest: boolean,
  now: number,
  notice: (message: string) => void,
): Promise<ScannedSegment | null> {
  const path = segmentPath(directory, n);
  const writtenAt = (await stat(path)).mtimeMs;
  const file = await readFile(path);
  const scan = await scanSegment(n, file);
  if (scan.end === 0) {
    // Not one whole frame: a segment whose making was cut short, or damage that nothing can be read from.
    if (file.length === 0) await rm(path);
    else await rename(path, `${path}.damaged`);
    await syncDirectory(directory);
    const kept = file.length === 0 ? 'is empty' : `holds nothing readable; kept as ${path}.damaged`;
    notice(`log segment ${path} ${kept}`);
    return null;
  }
  if (scan.damaged > 0) notice(`log segment ${path}: ${scan.damaged} bytes are damaged and passed over`);
  const torn = file.length - scan.end;
  if (torn > 0 && isNewest) {
    await truncate(path, scan.end);
    notice(`log segment ${path}: cut off ${torn} bytes of a write that was not finished`);
  } else if (torn > 0) notice(`log segment ${path}: ${torn} bytes at its end are damaged and passed over`);
  return { n, scan, size: isNewest ? scan.end : file.length, writtenAt: Math.min(now, writtenAt) };
}

function summarize({ n, scan, size, writtenAt }: ScannedSegment): SummaryBuilder {
  const summary = new SummaryBuilder(n, scan.head?.ord ?? scan.blocks[0]?.ord ?? 0, writtenAt);
  for (const block of scan.blocks) summary.add(block);
  for (const { origin } of scan.origins) summary.addOrigin(origin);
  summary.bytes = size;
  return summary;
}

/** Summaries of the segments that were not scanned; one that the newest head does not know is scanned for it. */
async function earlierSummaries(
  directory: string,
  numbers: readonly number[],
  scanned: readonly ScannedSegment[],
  newest: Head | undefined,
  now: number,
  notice: (message: string) => void,
): Promise<Summary[]> {
  const known = new Map(newest?.segments.map((summary) => [summary.n, summary]));
  const summaries: Summary[] = [];
  for (const n of numbers) {
    if (scanned.some((segment) => segment.n === n)) continue;
    let summary = known.get(n);
    if (!summary) {
      const found = await scan(directory, n, false, now, notice);
      if (found) summary = summarize(found).take();
    }
    if (summary) summaries.push(summary);
  }
  return summaries;
}

/** The head tells what had been dropped when it was written; what it lists and is gone was dropped since. */
function droppedLines(newest: Head | undefined, numbers: readonly number[]): number {
  if (!newest) return 0;
  const gone = newest.segments.filter((summary) => !numbers.includes(summary.n));
  return gone.reduce((sum, summary) => sum + summary.lines, newest.droppedLines);
}

async function reopen(
  directory: string,
  handles: HandleCache,
  summary: SummaryBuilder,
  scan: SegmentScan,
  now: number,
): Promise<ActiveSegment> {
  const origins = new Map(scan.origins.map(({ origin, index, at }) => [originKey(origin), { index, at }]));
  const active = new ActiveSegment(directory, handles, summary, scan.head?.createdAt ?? now, origins);
  // What survived in memory of the system may not be on the disk yet, and is about to be called durable.
  await handles.use(segmentPath(directory, summary.n), (file) => file.datasync());
  return active;
}
