/** What an archive may contain, whatever its format. An archive is input from anywhere: nothing in it is taken on trust. */
import { PaasError } from '../../shared/errors.ts';
import { nameProblem } from '../../shared/tree/directory.ts';
import { linkProblem } from '../../shared/tree/links.ts';

export interface ArchiveLimits {
  /** Of all files together, unpacked. */
  maxBytes: number;
  maxEntries: number;
  /** Unpacked bytes to a byte of archive. Compressed text seldom exceeds 20, a bomb has 1000. */
  maxRatio: number;
  /** The ratio counts only beyond so many unpacked bytes: small archives of zeros harm nobody. */
  ratioFromBytes: number;
}

export const defaultArchiveLimits: ArchiveLimits = {
  maxBytes: 16 * 1024 ** 3,
  maxEntries: 500_000,
  maxRatio: 200,
  ratioFromBytes: 256 * 1024 ** 2,
};

export type ArchiveEntryType = 'file' | 'dir' | 'link' | 'hardlink';

/** Checks entries as they come and remembers them. Every method throws PaasError `source_invalid` or `too_large`. */
export class ArchiveGuard {
  readonly #name: string;
  readonly #archiveBytes: number;
  readonly #limits: ArchiveLimits;
  readonly #types = new Map<string, ArchiveEntryType>();
  #bytes = 0;

  /**
   * @param name of the archive, for messages
   * @param archiveBytes its size on disk
   */
  constructor(name: string, archiveBytes: number, limits: ArchiveLimits) {
    this.#name = name;
    this.#archiveBytes = archiveBytes;
    this.#limits = limits;
  }

  /**
   * @param size bytes that the entry's file will have
   * @param target of links; of hard links the path of another entry
   * @returns the entry's path in normal form; '' for the root itself
   */
  admit(rawPath: string, type: ArchiveEntryType, size: number, target = ''): string {
    const path = this.#normalise(rawPath);
    if (path === '') {
      if (type === 'dir') return path;
      throw this.refuse(rawPath, 'has no name');
    }
    const known = this.#types.get(path);
    if (known !== undefined && !(known === 'dir' && type === 'dir')) throw this.refuse(path, 'is in it twice');
    if (known === undefined) this.#addParents(path);
    this.#types.set(path, type);
    if (this.#types.size > this.#limits.maxEntries)
      throw this.#over(`has more than ${this.#limits.maxEntries} entries`);
    if (type === 'link') {
      const problem = linkProblem(path, target);
      if (problem) throw this.refuse(path, `is a symbolic link that ${problem}`);
    }
    // What does not come before it cannot be linked to; above all, nothing outside.
    if (type === 'hardlink' && this.#types.get(this.#normalise(target)) !== 'file')
      throw this.refuse(path, `is a hard link to ${JSON.stringify(target)}, which is no file in it`);
    this.#bytes += size;
    this.checkBytes(this.#bytes);
    return path;
  }

  /** Against bombs: so many bytes have come out of it so far. */
  checkBytes(unpacked: number): void {
    const { maxBytes, maxRatio, ratioFromBytes } = this.#limits;
    if (unpacked > maxBytes) throw this.#over(`unpacks to more than ${maxBytes} bytes`);
    if (unpacked > ratioFromBytes && unpacked > maxRatio * this.#archiveBytes)
      throw this.#over(`unpacks to more than ${maxRatio} times its size`);
  }

  /** Entries at the top. */
  top(): { name: string; type: ArchiveEntryType }[] {
    return [...this.#types].filter(([path]) => !path.includes('/')).map(([name, type]) => ({ name, type }));
  }

  refuse(path: string, problem: string): PaasError {
    return new PaasError('source_invalid', `${this.#name}: ${JSON.stringify(path)} ${problem}.`, {
      hint: 'Make the archive without it.',
      details: { path },
    });
  }

  damaged(cause: unknown): PaasError {
    const reason = cause instanceof Error ? `: ${cause.message}` : '';
    return new PaasError('source_invalid', `${this.#name} is damaged or not a tar or zip archive${reason}`, {
      hint: 'Make the archive anew, or push the directory itself.',
      cause,
    });
  }

  #over(what: string): PaasError {
    return new PaasError('too_large', `${this.#name} ${what}.`, {
      hint: 'Push the directory itself, or leave out more.',
    });
  }

  #normalise(path: string): string {
    if (path.includes('\0')) throw this.refuse(path, 'has NUL in its name');
    if (path.startsWith('/') || /^[A-Za-z]:[\\/]/.test(path)) throw this.refuse(path, 'has an absolute path');
    const segments = path.split('/').filter((segment) => segment !== '' && segment !== '.');
    for (const segment of segments) {
      const problem = nameProblem(segment);
      if (problem)
        throw this.refuse(path, segment === '..' ? 'leads out of it with ".."' : `has a name that ${problem}`);
    }
    return segments.join('/');
  }

  /** A file or link must not be used as a directory: that is how archives write through a link. */
  #addParents(path: string): void {
    for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) {
      const parent = path.slice(0, slash);
      const type = this.#types.get(parent);
      if (type === undefined) this.#types.set(parent, 'dir');
      else if (type !== 'dir') throw this.refuse(path, `lies below ${JSON.stringify(parent)}, which is no directory`);
    }
  }
}
