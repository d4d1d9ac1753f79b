/** A program's own log, which is the file that its standard error goes to, held below a size while it runs. */
import { copyFileSync, fstatSync, ftruncateSync } from 'node:fs';
import { errnoOf } from './errors.ts';

const defaultBytes = 10 * 1024 * 1024;
const standardError = 2;

/**
 * Lines go to `write`, which appends to the file. One that has grown large is copied to `FILE.1` and begun anew; it stays
 * the same file, since whoever started the program has opened it.
 * @param path of the file that standard error goes to
 */
export function boundedLog(
  path: string,
  write: (line: string) => void,
  maxBytes = defaultBytes,
  fd = standardError,
): (line: string) => void {
  let size = fstatSync(fd).size;
  return (line) => {
    if (size > maxBytes) {
      keepOld(path);
      ftruncateSync(fd, 0);
      size = 0;
    }
    write(line);
    size += Buffer.byteLength(line);
  };
}

/** A full disk costs the old lines, not the program. */
function keepOld(path: string): void {
  try {
    copyFileSync(path, `${path}.1`);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
  }
}
