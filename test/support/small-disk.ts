/** A small disk of its own for a directory, which a test may fill to the last byte. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../../src/shared/errors.ts';

export interface SmallDisk {
  /** Fills it but for so many bytes. */
  fill(leave: number): void;
  /** Gives the space back. */
  empty(): void;
  /** Unmounts it, with all that is on it, and removes its directory. */
  remove(): void;
}

/** Mounts a tmpfs of `mebibytes` at `path`; undefined where that is not allowed. */
export function mountSmallDisk(path: string, mebibytes: number, mode = '700'): SmallDisk | undefined {
  mkdirSync(path, { recursive: true, mode: Number.parseInt(mode, 8) });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=${mode}`, 'tmpfs', path], { stdio: 'ignore' });
  } catch {
    return undefined;
  }
  const ballast = join(path, 'ballast');
  const empty = (): void => rmSync(ballast, { force: true });
  return {
    empty,
    fill(leave) {
      empty();
      const { bavail, bsize } = statfsSync(path);
      try {
        writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - leave)));
      } catch (error) {
        if (errnoOf(error) !== 'ENOSPC') throw error;
        // Somebody else took some of it meanwhile: it is full.
      }
    },
    remove() {
      // Lazily: a process that is just ending may hold it for a moment after its command line is gone.
      execFileSync('umount', ['--lazy', path]);
      rmdirSync(path);
    },
  };
}
