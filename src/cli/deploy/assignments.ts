/** `K=V`, `K=@file` and `K=-` (standard input): the last two keep secrets out of the command line. */
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { errnoOf, PaasError } from '../../shared/errors.ts';

const name = /^[A-Za-z_][A-Za-z0-9_]*$/;
const largest = 1024 * 1024;

/**
 * @param what the words are, for messages: `--config`
 * @throws PaasError usage; not_found for a file that is not there; too_large
 */
export async function readAssignments(
  words: readonly string[],
  what: string,
  stdin: NodeJS.ReadStream,
): Promise<Record<string, string>> {
  const values: Record<string, string> = {};
  let stdinFor: string | undefined;
  for (const word of words) {
    const at = word.indexOf('=');
    const key = at < 0 ? word : word.slice(0, at);
    if (at < 0)
      throw new PaasError('usage', `${what}: \`${key}\` has no value.`, {
        hint: 'Write K=V, K=@file, or K=- for standard input.',
      });
    if (!name.test(key))
      throw new PaasError('usage', `${what}: \`${key}\` is no name of a config value.`, {
        hint: 'Names have letters, digits and _, and do not begin with a digit.',
      });
    if (Object.hasOwn(values, key))
      throw new PaasError('usage', `${what}: ${key} is given twice.`, { hint: 'Give it once.' });
    const value = word.slice(at + 1);
    if (value === '-') {
      if (stdinFor !== undefined)
        throw new PaasError('usage', `${what}: ${stdinFor} and ${key} cannot both be read from standard input.`);
      if (stdin.isTTY)
        throw new PaasError('usage', `${what}: standard input is a terminal.`, {
          hint: `Pipe the value of ${key} in, or name a file: ${key}=@FILE.`,
        });
      stdinFor = key;
      values[key] = withoutLastNewline(await text(stdin));
    } else values[key] = value.startsWith('@') ? readValue(key, value.slice(1)) : value;
    if (Buffer.byteLength(values[key]) > largest)
      throw new PaasError('too_large', `The value of ${key} is larger than 1 MiB.`);
    if (values[key].includes('\0'))
      throw new PaasError('usage', `The value of ${key} has a NUL character in it.`, {
        hint: 'Environment variables cannot hold it.',
      });
  }
  return values;
}

function readValue(key: string, file: string): string {
  try {
    return withoutLastNewline(readFileSync(file, 'utf8'));
  } catch (cause) {
    const code = errnoOf(cause);
    if (code === undefined) throw cause;
    const absent = code === 'ENOENT';
    throw new PaasError(
      absent ? 'not_found' : 'usage',
      `The value of ${key} cannot be read from ${file}: ${absent ? 'there is no such file' : code}.`,
      { hint: `A value that begins with @ is written ${key}=- and piped in.`, cause },
    );
  }
}

/** Editors and `echo` end a file with one, which is hardly ever part of a password. */
const withoutLastNewline = (value: string): string => value.replace(/\r?\n$/, '');
