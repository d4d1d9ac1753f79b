/** Text files that flags name. */
import { readFile, stat } from 'node:fs/promises';
import { errnoOf, PaasError } from '../../shared/errors.ts';

/**
 * The text of a file.
 * @param flag of the messages: `--page`
 * @throws PaasError not_found, usage (a directory, empty, no UTF-8), too_large
 */
export async function readTextFile(path: string, maxBytes: number, flag: string): Promise<string> {
  const bytes = await read(path, maxBytes, flag);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new PaasError('usage', `${flag}: ${path} is no text in UTF-8.`, { hint: 'Save it as UTF-8.', cause });
  }
  if (text.includes('\0')) throw new PaasError('usage', `${flag}: ${path} is no text: it has a NUL in it.`);
  if (text.trim() === '') throw new PaasError('usage', `${flag}: ${path} is empty.`);
  return text;
}

async function read(path: string, maxBytes: number, flag: string): Promise<Buffer> {
  try {
    // Looked at first: what is named by mistake may be huge, or never end.
    const found = await stat(path);
    if (!found.isFile()) throw new PaasError('usage', `${flag}: ${path} is not a file.`);
    if (found.size > maxBytes) {
      throw new PaasError('too_large', `${flag}: ${path} has ${found.size} bytes; ${maxBytes / 1024} KiB are allowed.`);
    }
    return await readFile(path);
  } catch (cause) {
    const code = errnoOf(cause);
    if (code === 'ENOENT') throw new PaasError('not_found', `${flag}: there is no file ${path}.`, { cause });
    if (code === 'EACCES') throw new PaasError('not_allowed', `${flag}: ${path} cannot be read.`, { cause });
    throw cause;
  }
}
