/**
 * Everything the CLI prints goes through here. Standard output carries what was asked for: text for people, or with
 * `--json` one JSON document (streams: one object a line). Standard error carries the rest.
 */
import { once } from 'node:events';
import { errnoOf } from '../../shared/errors.ts';
import { coloured, mayColour, plain, type Style } from './style.ts';
import { oneLine, tableLines } from './table.ts';

export interface Streams {
  stdin: NodeJS.ReadStream;
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
}

export interface UiOptions {
  json: boolean;
  env: NodeJS.ProcessEnv;
  streams?: Streams;
}

export class Ui {
  readonly json: boolean;
  /** Colours for standard output and for standard error. */
  readonly style: Style;
  readonly errStyle: Style;
  /** Whether lines may be rewritten on standard error (progress). */
  readonly moving: boolean;
  readonly streams: Streams;
  /** Aborted when nothing can be printed any more: whoever read it is gone (`paas logs | head`). */
  readonly closed: AbortSignal;
  /** Why, where it is not that (a full disk). */
  failure: Error | null = null;

  constructor(options: UiOptions) {
    const { env, streams = process } = options;
    this.json = options.json;
    this.streams = streams;
    this.style = mayColour(streams.stdout, env) ? coloured : plain;
    this.moving = mayColour(streams.stderr, env);
    this.errStyle = this.moving ? coloured : plain;
    const gone = new AbortController();
    this.closed = gone.signal;
    streams.stdout.on('error', (error) => {
      if (errnoOf(error) !== 'EPIPE') this.failure ??= error;
      gone.abort();
    });
    // Nobody is left to be told.
    streams.stderr.on('error', () => undefined);
  }

  /** Whether someone sits there who can be asked. */
  get canAsk(): boolean {
    return this.streams.stdin.isTTY && this.streams.stderr.isTTY;
  }

  /** A line for people; nothing with `--json`. */
  line(text = ''): void {
    if (!this.json) this.#out(text + '\n');
  }

  /** Rows below headers, for people. */
  table(headers: readonly string[], rows: readonly (readonly string[])[]): void {
    if (this.json) return;
    const lines = tableLines(
      headers,
      rows.map((row) => row.map(cleanCell)),
      this.style.bold,
    );
    this.#out(lines.join('\n') + '\n');
  }

  /** `NAME  value` lines, for people; pairs without a value are left out. */
  pairs(pairs: readonly (readonly [string, string | null | undefined])[]): void {
    const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== '');
    const width = Math.max(0, ...shown.map(([name]) => name.length));
    for (const [name, value] of shown) this.line(`${this.style.dim(name.padEnd(width))}  ${value ?? ''}`);
  }

  /** The command's JSON document, or with `indent` 0 a line of it; nothing without `--json`. */
  data(value: unknown, indent = 2): void {
    if (this.json) this.#out(JSON.stringify(value ?? null, null, indent) + '\n');
  }

  /** A value as JSON, or as `render` prints it for people. */
  show(value: unknown, render: () => void): void {
    if (this.json) this.data(value);
    else render();
  }

  /** Text as it is on standard output, whole lines; resolves when the reader can take more. */
  async write(text: string | Uint8Array): Promise<void> {
    if (this.closed.aborted) return;
    if (this.streams.stdout.write(text)) return;
    await once(this.streams.stdout, 'drain', { signal: this.closed }).catch((error: unknown) => {
      if (!this.closed.aborted) throw error;
    });
  }

  /** The same on standard error. */
  async writeErr(text: string | Uint8Array): Promise<void> {
    if (!this.streams.stderr.write(text)) await once(this.streams.stderr, 'drain');
  }

  /** Something that is good to know while it happens. */
  note(text: string): void {
    this.#err(`${text}\n`);
  }

  warn(text: string): void {
    this.#err(`${this.errStyle.yellow('Warning:')} ${text}\n`);
  }

  /** Until everything is handed to the system. */
  async flush(): Promise<void> {
    const drained = (stream: NodeJS.WriteStream): Promise<void> =>
      new Promise((resolve) => {
        if (stream.destroyed || stream.writableLength === 0) resolve();
        else stream.write('', () => resolve());
      });
    await Promise.all([drained(this.streams.stdout), drained(this.streams.stderr)]);
  }

  #out(text: string): void {
    if (!this.closed.aborted) this.streams.stdout.write(text);
  }

  #err(text: string): void {
    this.streams.stderr.write(text);
  }
}

/** Control characters go, our own colours stay. */
function cleanCell(cell: string): string {
  return cell
    .split(/(\u001b\[[0-9;]*m)/)
    .map((part, i) => (i % 2 === 1 ? part : oneLine(part)))
    .join('');
}
