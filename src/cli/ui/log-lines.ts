/** Log lines for people: `2026-11-21T10:00:00.123Z web.1 | line`. */
import type { LogGap, LogLine } from '../../shared/contracts/api.ts';
import type { Style } from './style.ts';

export class LogRenderer {
  readonly #style: Style;
  /** What stands before a line, but for its time, by writer. */
  readonly #prefixes = new Map<string, string>();

  constructor(style: Style) {
    this.#style = style;
  }

  line({ ts, instance, process, source, line }: LogLine): string {
    // What the platform and the router say names the instance by itself.
    const writer = source === 'app' ? instance : source;
    let prefix = this.#prefixes.get(writer);
    if (prefix === undefined) {
      prefix = `${this.#style.named(source === 'app' ? process : source, `${writer} |`)} `;
      this.#prefixes.set(writer, prefix);
    }
    return `${this.#style.dim(ts)} ${prefix}${line}\n`;
  }

  /** Loud: whoever reads logs to understand a failure must know that some are not there. */
  gap({ instance, from, to, count, bytes }: LogGap['gap']): string {
    const whose = instance === '*' ? 'of all instances' : `of ${instance}`;
    const size = bytes === undefined ? '' : ` (${bytes} bytes)`;
    return `${this.#style.yellow(`!!! at least ${count} lines${size} ${whose} are missing between ${from} and ${to}`)}\n`;
  }
}
