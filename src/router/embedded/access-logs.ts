/** The access logs: a file for each app, which the agent ships and frees, and one for requests that no route matched. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { accessLine, type AccessEntry } from '../../shared/access-line.ts';
import { LineFile, type Bound } from './line-file.ts';

const perApp: Bound = { allocated: 256 * 1024 * 1024 };
const withoutApp: Bound = { rotateAt: 16 * 1024 * 1024 };
/** Files that are open at a time. */
const maxOpen = 512;

export class AccessLogs {
  readonly #directory: string;
  readonly #files = new Map<string, LineFile>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** @param appId '' for a request that no route matched */
  write(appId: string, entry: AccessEntry): void {
    (this.#files.get(appId) ?? this.#open(appId)).append(accessLine(entry));
  }

  /** Resolves when all lines are with the system. */
  async close(): Promise<void> {
    await Promise.all([...this.#files.values()].map((file) => file.close()));
  }

  #open(appId: string): LineFile {
    if (this.#files.size === 0) mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    if (this.#files.size >= maxOpen) this.#closeOne();
    const name = appId === '' ? '-' : encodeURIComponent(appId);
    const file = new LineFile(join(this.#directory, `${name}.log`), appId === '' ? withoutApp : perApp);
    this.#files.set(appId, file);
    return file;
  }

  /** The first that has nothing to write; none, while all have. */
  #closeOne(): void {
    for (const [appId, file] of this.#files) {
      if (!file.atRest) continue;
      this.#files.delete(appId);
      void file.close();
      return;
    }
  }
}
