/** The version that a data directory carries, so that an older program does not misread what a newer one wrote. */
import { join } from 'node:path';
import * as z from 'zod/mini';
import { PaasError } from './errors.ts';
import { readJsonFile, writeDurably } from './files.ts';

const formatFile = z.object({ format: z.int().check(z.positive()) });

/**
 * Checks `format.json` of a data directory, and makes it where there is none (a new directory, or format 1 from before
 * the file was). Call it before anything else is read.
 * @param what the directory's owner, for the message: "the agent"
 * @param known the newest format that this program can read
 * @throws PaasError conflict for a later format, corrupt for a damaged file; nothing is changed then
 */
export function checkFormat(directory: string, what: string, known: number): void {
  const path = join(directory, 'format.json');
  const found = readFormat(path);
  if (found === undefined) writeDurably(path, `${JSON.stringify({ format: known })}\n`);
  else if (found > known) throw laterVersion(`${directory}, the data of ${what},`, found, known);
}

function readFormat(path: string): number | undefined {
  try {
    return readJsonFile(path, formatFile)?.format;
  } catch (cause) {
    if (!(cause instanceof PaasError)) throw cause;
    throw new PaasError('corrupt', `${path} is damaged: it says which version of paas wrote the data beside it.`, {
      hint: 'Restore it from a backup. Nothing was changed.',
      cause,
    });
  }
}

/** The refusal of data that a later version wrote. `what` begins the sentence. */
export function laterVersion(what: string, found: number, known: number): PaasError {
  return new PaasError(
    'conflict',
    `${what} was written by a later version of paas (format ${found}; this one knows ${known}).`,
    { hint: 'Upgrade paas on this machine, or restore the backup from before. Nothing was changed.' },
  );
}
