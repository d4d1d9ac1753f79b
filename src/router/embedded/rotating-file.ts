import { closeSync, fstatSync, openSync, renameSync, write } from 'node:fs';

const flushMs = 200;
const flushAt = 64 * 1024;
/** What waits in memory while the disk is slow; beyond it lines are dropped and counted. */
const maxWaiting = 4 * 1024 * 1024;

/**
 * Lines into a file of bounded size: at `maxBytes` it becomes `FILE.1`, in place of the one before. Writes are batched;
 * trouble with the disk never reaches the caller, it costs lines, and the next that is written says how many.
 */
export class RotatingFile {
  readonly #path: string;
  readonly #maxBytes: number;
  #fd: number | null = null;
  #size = 0;
  #waiting = '';
  #writing = false;
  #dropped = 0;
  #timer: NodeJS.Timeout | null = null;
  #idle: (() => void)[] = [];

  constructor(path: string, maxBytes: number) {
    this.#path = path;
    this.#maxBytes = maxBytes;
  }

  /** @param line with its newline */
  append(line: string): void {
    if (this.#waiting.length > maxWaiting) {
      this.#dropped++;
      return;
    }
    this.#waiting += line;
    if (this.#waiting.length >= flushAt) this.#flush();
    else this.#schedule();
  }

  /** Resolves when everything appended so far is with the system, and closes the file; it opens again when needed. */
  async close(): Promise<void> {
    this.#flush();
    if (this.#writing) await new Promise<void>((resolve) => this.#idle.push(resolve));
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }

  #isWriting(): boolean {
    return this.#writing;
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => this.#flush(), flushMs).unref();
  }

  #flush(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#writing || this.#waiting === '') return;
    const dropped = this.#dropped;
    const text = dropped > 0 ? `${this.#waiting}${JSON.stringify({ dropped })}\n` : this.#waiting;
    this.#waiting = '';
    this.#dropped = 0;
    const bytes = Buffer.from(text);
    let fd: number;
    try {
      fd = this.#open(bytes.length);
    } catch {
      this.#dropped = dropped + countLines(bytes);
      return;
    }
    this.#writing = true;
    this.#write(fd, bytes, dropped);
  }

  #write(fd: number, bytes: Buffer, dropped: number): void {
    write(fd, bytes, 0, bytes.length, null, (error, written) => {
      if (!error && written < bytes.length) {
        this.#size += written;
        this.#write(fd, bytes.subarray(written), dropped);
        return;
      }
      if (error) this.#dropped += dropped + countLines(bytes);
      else this.#size += written;
      this.#writing = false;
      if (this.#waiting.length >= flushAt || this.#idle.length > 0) this.#flush();
      else if (this.#waiting !== '') this.#schedule();
      if (!this.#isWriting()) for (const resolve of this.#idle.splice(0)) resolve();
    });
  }

  /** The open file, after rotation where `more` bytes would be too many. */
  #open(more: number): number {
    let fd = this.#fd ?? this.#reopen();
    if (this.#size > 0 && this.#size + more > this.#maxBytes) {
      closeSync(fd);
      this.#fd = null;
      renameSync(this.#path, `${this.#path}.1`);
      fd = this.#reopen();
    }
    return fd;
  }

  #reopen(): number {
    this.#fd = openSync(this.#path, 'a', 0o600);
    this.#size = fstatSync(this.#fd).size;
    return this.#fd;
  }
}

function countLines(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, at + 1)) lines++;
  return lines;
}
