/** Which command a command line means. */
import { PaasError } from '../../shared/errors.ts';
import { commands, topics } from '../commands.ts';
import type { Command } from './define.ts';

export interface Found {
  /** `config set`; of a topic without a command of its own: `rollout`; '' for nothing at all. */
  id: string;
  command?: Command;
  argv: string[];
  /** Help was asked for. */
  asked: boolean;
}

const isTopic = (word: string): boolean => Object.hasOwn(topics, word);
const isHelp = (word: string | undefined): boolean => word === '--help' || word === '-h' || word === 'help';

/** @throws PaasError usage for a command that does not exist */
export async function findCommand(argv: readonly string[]): Promise<Found> {
  const [first] = argv;
  if (first === undefined) return { id: '', argv: [], asked: true };
  if (isHelp(first))
    return argv.length === 1
      ? { id: '', argv: [], asked: true }
      : findCommand([...argv.slice(1).filter((word) => !isHelp(word)), '--help']);
  if (first.startsWith('-'))
    throw new PaasError('usage', `\`paas ${first}\`: the command comes first.`, { hint: 'See `paas --help`.' });
  // `config:set` is oclif's way to write `config set`.
  const words = [...first.split(':'), ...argv.slice(1)];
  const [topic = '', verb] = words;
  const long = verb === undefined ? '' : `${topic} ${verb}`;
  for (const [id, length] of [
    [long, 2],
    [topic, 1],
  ] as const) {
    const load = Object.hasOwn(commands, id) ? commands[id] : undefined;
    // A word after a command that takes none is a verb of its topic, misspelt.
    if (load && length === 1 && verb !== undefined && !verb.startsWith('-') && !isHelp(verb) && isTopic(topic)) {
      const { args, rest } = (await load()).default;
      if (!args && !rest) break;
    }
    if (load) return { id, command: (await load()).default, argv: words.slice(length), asked: false };
  }
  if (Object.hasOwn(topics, topic) && (verb === undefined || isHelp(verb)))
    return { id: topic, argv: [], asked: verb !== undefined };
  const { nearest } = await import('../manifest/nearest.ts');
  const typed = Object.hasOwn(topics, topic) && verb !== undefined ? long : topic;
  const meant = nearest(typed, Object.keys(commands));
  throw new PaasError('usage', `There is no command \`paas ${typed}\`.`, {
    hint: meant === undefined ? 'See `paas --help`.' : `Did you mean \`paas ${meant}\`?`,
  });
}
