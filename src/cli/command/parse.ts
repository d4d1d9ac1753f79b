/** A command line by a command's definition: oclif's parser, our words for what is wrong. */
import { parse as parseTokens } from '@oclif/core/parser';
import { PaasError } from '../../shared/errors.ts';
import { nearest } from '../manifest/nearest.ts';
import type { Command, Invocation } from './define.ts';
import type { Flag, Flags } from './flags.ts';

type OclifFlags = NonNullable<Parameters<typeof parseTokens>[1]['flags']>;

const same = (text: string): Promise<string> => Promise.resolve(text);

/** A flag as oclif's parser wants it. Values are read by us afterwards, so that all errors speak alike. */
function toOclif(flag: Flag) {
  const char = flag.char === undefined ? {} : { char: flag.char as 'a' };
  if (flag.kind === 'boolean')
    return { type: 'boolean' as const, allowNo: false, parse: (value: boolean) => Promise.resolve(value), ...char };
  // Greedy lists would swallow arguments that follow.
  return { type: 'option' as const, input: [], multiple: true as const, multipleNonGreedy: true, parse: same, ...char };
}

/**
 * @param id as typed, for messages: `config set`
 * @throws PaasError usage
 */
export async function parseInvocation(
  id: string,
  command: Command,
  argv: readonly string[],
): Promise<Invocation<Flags>> {
  const dashes = command.command ? argv.indexOf('--') : -1;
  const own = dashes < 0 ? [...argv] : argv.slice(0, dashes);
  const tokens = await tokensOf(id, command, own);
  const words = tokens.flatMap((token) => (token.type === 'arg' ? [token.input] : []));
  const names = Object.keys(command.args ?? {});
  const args = Object.fromEntries(names.map((name, i) => [name, words[i]]));
  const rest = words.slice(names.length);
  const after = dashes < 0 ? [] : argv.slice(dashes + 1);
  const flags: Record<string, unknown> = {};
  for (const [name, flag] of Object.entries(command.flags)) {
    const texts = tokens.flatMap((token) => (token.type === 'flag' && token.flag === name ? [token.input] : []));
    flags[name] = readFlag(name, flag, texts);
  }
  const invocation = { flags, args, rest, command: command.command && dashes < 0 ? rest : after };
  if (flags['help'] !== true) check(id, command, invocation);
  return invocation;
}

interface Token {
  type: 'arg' | 'flag';
  input: string;
  flag?: string;
}

async function tokensOf(id: string, command: Command, argv: string[]): Promise<Token[]> {
  const flags = Object.fromEntries(
    Object.entries(command.flags).map(([name, flag]) => [name, toOclif(flag)]),
  ) as unknown as OclifFlags;
  try {
    const { raw } = await parseTokens(argv, { flags, args: {}, strict: false });
    return raw;
  } catch (error) {
    const unknown =
      error instanceof Error && 'flags' in error && Array.isArray(error.flags)
        ? (error.flags[0] as unknown)
        : undefined;
    if (typeof unknown === 'string') throw unknownFlag(id, command, unknown);
    // oclif explains below the first line where to find help; so do we, in the hint.
    const message = (error instanceof Error ? error.message : String(error)).split('\n')[0]!;
    throw usage(id, `${message}.`);
  }
}

function unknownFlag(id: string, command: Command, typed: string): PaasError {
  const name = typed.replace(/=.*$/s, '');
  const known = Object.entries(command.flags).flatMap(([flag, { hidden }]) => (hidden === true ? [] : [`--${flag}`]));
  const meant = name.startsWith('--') ? nearest(name, known) : undefined;
  return usage(id, `\`paas ${id}\` has no flag ${name}.`, meant === undefined ? undefined : `Did you mean ${meant}?`);
}

function readFlag(name: string, flag: Flag, texts: string[]): unknown {
  if (flag.kind === 'option' && flag.multiple !== true && texts.length > 1 && new Set(texts).size > 1) {
    throw new PaasError('usage', `--${name} is given more than once: ${texts.join(', ')}.`, { hint: 'Give it once.' });
  }
  try {
    return flag.read(texts);
  } catch (error) {
    if (!(error instanceof PaasError)) throw error;
    throw new PaasError(error.code, `--${name}: ${error.message}`, { hint: error.hint, cause: error });
  }
}

function check(
  id: string,
  command: Command,
  { args, rest, command: tail }: Pick<Invocation<Flags>, 'args' | 'rest' | 'command'>,
): void {
  for (const [name, { required }] of Object.entries(command.args ?? {})) {
    if (required === true && args[name] === undefined) throw usage(id, `\`paas ${id}\` needs ${name.toUpperCase()}.`);
  }
  if (command.rest?.required === true && rest.length === 0)
    throw usage(id, `\`paas ${id}\` needs ${command.rest.name}.`);
  if (command.command) {
    if (tail.length === 0)
      throw usage(id, 'There is no command to run.', `Put it after --: \`paas ${id} … -- COMMAND\`.`);
  } else if (!command.rest && rest.length > 0) {
    throw usage(id, `\`paas ${id}\` does not understand ${rest.map((word) => `\`${word}\``).join(', ')}.`);
  }
}

function usage(id: string, message: string, hint = `See \`paas ${id} --help\`.`): PaasError {
  return new PaasError('usage', message, { hint });
}
