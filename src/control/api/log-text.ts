/** Log entries as NDJSON. */
import type { LogEntry } from '../logs/port.ts';
import type { LogLine } from '../../shared/contracts/api.ts';

type Origin = Pick<LogLine, 'ts' | 'process' | 'instance' | 'release' | 'source' | 'stream'>;

/**
 * Writes the entries of one app as lines of JSON. What a line shares with the one before (mostly all but number and text)
 * is made only once, which is three times as fast as one `JSON.stringify` for each.
 */
export class LogText {
  readonly #tail: string;
  #origin: Origin | null = null;
  #head = '';

  constructor(app: string) {
    this.#tail = `,"app":${JSON.stringify(app)}}\n`;
  }

  of(entries: readonly LogEntry[]): string {
    let text = '';
    for (const entry of entries) {
      if ('gap' in entry) {
        text += `${JSON.stringify(entry)}\n`;
        continue;
      }
      if (this.#origin === null || !isSame(this.#origin, entry)) this.#begin(entry);
      const partial = entry.partial === true ? ',"partial":true' : '';
      text += `${this.#head}${entry.seq},"line":${JSON.stringify(entry.line)}${partial}${this.#tail}`;
    }
    return text;
  }

  #begin({ ts, process, instance, release, source, stream }: Origin): void {
    this.#origin = { ts, process, instance, release, source, stream };
    this.#head = `${JSON.stringify(this.#origin).slice(0, -1)},"seq":`;
  }
}

function isSame(a: Origin, b: Origin): boolean {
  if (a.ts !== b.ts || a.instance !== b.instance || a.stream !== b.stream) return false;
  return a.release === b.release && a.source === b.source && a.process === b.process;
}
