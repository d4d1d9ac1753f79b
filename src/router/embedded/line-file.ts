import { closeSync, fstatSync, openSync, readSync, renameSync, write } from 'node:fs';

const flushMs = 200;
const flushAt = 64 * 1024;
/** What waits in memory while the disk is slow; beyond it lines are dropped and counted. */
const maxWaiting = 4 * 1024 * 1024;

/**
 * What bounds a file: `rotateAt` bytes, then it becomes `FILE.1` in place of the one before; or blocks allocated on disk,
 * for one that somebody else frees from its front, and then lines are dropped until there is room.
 */
export type Bound = { rotateAt: number } | { allocated: number };

/**
 * Lines appended to a file of bounded size. Writes are batched; trouble with the disk never reaches the caller, it costs
 * lines, and before the next ones that are written stands how many (`dropped=12`).
 */
export class LineFile {
  readonly #path: string;
  readonly #bound: Bound;
  #fd: number | null = null;
  #size = 0;
  /** The file ends in the middle of a line. */
  #torn = false;
  #waiting = '';
  #writing = false;
  #dropped = 0;
  #timer: NodeJS.Timeout | null = null;
  #idle: (() => void)[] = [];

  constructor(path: string, bound: Bound) {
    this.#path = path;
    this.#bound = bound;
  }

  /** @param line without its newline */
  append(line: string): void {
    if (this.#waiting.length > maxWaiting) {
      this.#dropped++;
      return;
    }
    this.#waiting += line;
    this.#waiting += '\n';
    if (this.#waiting.length >= flushAt) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), flushMs).unref();
  }

  /** Nothing is under way, and no dropped lines are still to be told. */
  get atRest(): boolean {
    return this.#waiting === '' && !this.#writing && this.#dropped === 0;
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

  #flush(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#writing || this.#waiting === '') return;
    const dropped = this.#dropped;
    const lines = Buffer.from(this.#waiting);
    this.#waiting = '';
    this.#dropped = 0;
    let fd: number | null;
    try {
      fd = this.#open(lines.length);
    } catch {
      fd = null;
    }
    if (fd === null) {
      this.#dropped = dropped + countLines(lines);
      return;
    }
    const told = `${this.#torn ? '\n' : ''}${dropped > 0 ? `dropped=${dropped}\n` : ''}`;
    this.#writing = true;
    this.#write(fd, told === '' ? lines : Buffer.concat([Buffer.from(told), lines]), dropped);
  }

  #write(fd: number, bytes: Buffer, dropped: number): void {
    write(fd, bytes, 0, bytes.length, null, (error, written) => {
      if (!error) {
        this.#size += written;
        this.#torn = bytes[written - 1] !== 10;
      }
      if (!error && written > 0 && written < bytes.length) {
        this.#write(fd, bytes.subarray(written), dropped);
        return;
      }
      if (error) this.#dropped += dropped + countLines(bytes);
      this.#writing = false;
      if (this.#waiting.length >= flushAt || this.#idle.length > 0) this.#flush();
      else if (this.#waiting !== '') this.#timer ??= setTimeout(() => this.#flush(), flushMs).unref();
      if (!this.#isWriting()) for (const resolve of this.#idle.splice(0)) resolve();
    });
  }

  /** The open file with room for `more` bytes; null: there is none. */
  #open(more: number): number | null {
    let fd = this.#fd ?? this.#reopen();
    if ('allocated' in this.#bound) {
      if (fstatSync(fd).nlink === 0) {
        // It was removed, since its app was gone for long.
        closeSync(fd);
        this.#fd = null;
        fd = this.#reopen();
      }
      return fstatSync(fd).blocks * 512 < this.#bound.allocated ? fd : null;
    }
    if (this.#size === 0 || this.#size + more <= this.#bound.rotateAt) return fd;
    closeSync(fd);
    this.#fd = null;
    renameSync(this.#path, `${this.#path}.1`);
    return this.#reopen();
  }

  #reopen(): number {
    const fd = (this.#fd = openSync(this.#path, 'a+', 0o600));
    this.#size = fstatSync(fd).size;
    const last = Buffer.alloc(1);
    this.#torn = this.#size > 0 && readSync(fd, last, 0, 1, this.#size - 1) === 1 && last[0] !== 10;
    return fd;
  }
}

function countLines(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, at + 1)) lines++;
  return lines;
}
