/** Reads manifest files: bounded, as UTF-8, and never from what is not a plain file (a pipe would wait for ever). */
import { readFile, stat } from 'node:fs/promises';
import { errnoOf, PaasError } from '../../shared/errors.ts';
import type { Problems } from './problems.ts';
import type { Position } from './tree.ts';

const largest = 1024 * 1024;

/**
 * The text of a file without its byte order mark; undefined when there is none of that name.
 * @throws PaasError too_large above 1 MiB; manifest_invalid when it cannot be read
 */
export async function readText(path: string, shown: string, problems: Problems): Promise<string | undefined> {
  try {
    const found = await stat(path);
    if (!found.isFile()) throw new PaasError('manifest_invalid', `${shown} is not a file.`, { hint: 'Name a file.' });
    if (found.size > largest) throw tooLarge(shown);
    const bytes = await readFile(path);
    if (bytes.length > largest) throw tooLarge(shown);
    return decode(bytes, shown, problems);
  } catch (thrown) {
    if (thrown instanceof PaasError) throw thrown;
    const errno = errnoOf(thrown);
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined;
    const hint = 'Check that the file may be read.';
    throw new PaasError('manifest_invalid', `${shown} cannot be read: ${errno ?? String(thrown)}.`, {
      hint,
      cause: thrown,
    });
  }
}

/** Bytes as text; the place of the first one that is not UTF-8 goes to `problems`. */
export function decode(bytes: Uint8Array, file: string, problems: Problems): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    const text = new TextDecoder('utf-8').decode(bytes);
    problems.add(positionOf(text, Math.max(0, text.indexOf('\u{fffd}')), file), 'not UTF-8 text', 'save it as UTF-8');
    return text;
  }
}

/** Line and column of an offset in a text. */
export function positionOf(text: string, offset: number, file: string): Position {
  const before = text.slice(0, offset);
  const line = before.split('\n').length;
  return { file, line, column: offset - before.lastIndexOf('\n') };
}

function tooLarge(shown: string): PaasError {
  return new PaasError('too_large', `${shown} is larger than 1 MiB.`, { hint: 'A manifest has at most 1 MiB.' });
}
