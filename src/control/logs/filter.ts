import type { Block } from './lines.ts';
import type { LogFilter, LogQuery } from './port.ts';
import type { Summary } from './segment.ts';

/** Whether a block's lines belong to an answer, as far as that can be told without reading them. */
export function wantsBlock(filter: LogFilter, { origin }: Block): boolean {
  if (filter.processType !== undefined && origin.process !== filter.processType) return false;
  if (filter.instance !== undefined && origin.name !== filter.instance && origin.id !== filter.instance) return false;
  if (filter.release !== undefined && origin.release !== filter.release) return false;
  return filter.source === undefined || origin.source === filter.source;
}

/** Whether a segment can hold anything for an answer. */
export function wantsSegment(query: LogQuery, minOrd: number, { ts, nextOrd, tags }: Summary): boolean {
  if (!ts || nextOrd <= minOrd) return false;
  if (query.since !== undefined && ts[1] < query.since) return false;
  if (query.until !== undefined && ts[0] > query.until) return false;
  if (!tags) return true;
  const wanted: [string, string | number | undefined][] = [
    ['p', query.processType],
    ['i', query.instance],
    ['r', query.release],
    ['s', query.source],
  ];
  return wanted.every(([kind, value]) => value === undefined || tags.includes(`${kind}:${value}`));
}
