/** `paas COMMAND --help`. */
import type { Argument, Command } from '../command/define.ts';
import type { Flag } from '../command/flags.ts';
import { commands } from '../commands.ts';
import { widthOf } from './table.ts';
import type { Ui } from './ui.ts';

/** Prints the help of one command. */
export async function showHelp(ui: Ui, id: string, command: Command): Promise<void> {
  const { bold, dim } = ui.style;
  const out: string[] = [capital(command.summary) + '.', ''];
  if (command.description !== undefined) out.push(command.description, '');
  out.push(bold('Usage'), `  ${usageOf(id, command)}`, '');
  const args = argumentsOf(command);
  if (args.length > 0) out.push(bold('Arguments'), ...columns(args), '');
  out.push(bold('Flags'), ...columns(flagsOf(command)), '');
  if (command.examples) {
    out.push(
      bold('Examples'),
      ...command.examples.flatMap(([line, meaning]) => [`  ${dim(`# ${meaning}`)}`, `  ${line}`]),
      '',
    );
  }
  const related = Object.keys(commands).filter((other) => other.startsWith(`${id} `));
  if (related.length > 0) {
    const rows = await Promise.all(
      related.map(async (other) => [`paas ${other}`, (await commands[other]!()).default.summary] as const),
    );
    out.push(bold('Commands'), ...columns(rows), '');
  }
  await ui.write(out.join('\n'));
}

/** `paas config set K=V … [-a NAME] …`, flags left to the list below it. */
export function usageOf(id: string, command: Command): string {
  const args = Object.entries(command.args ?? {}).map(([name, { required }]) => bracket(name.toUpperCase(), required));
  const rest = command.rest ? [bracket(command.rest.name, command.rest.required)] : [];
  const tail = command.command ? ['--', 'COMMAND…'] : [];
  return ['paas', id, ...args, ...rest, '[flags]', ...tail].join(' ');
}

/** Name and meaning of each argument. */
export function argumentsOf(command: Command): [string, string][] {
  const args = Object.entries<Argument>(command.args ?? {}).map(([name, { summary }]): [string, string] => [
    name.toUpperCase(),
    summary,
  ]);
  const rest: [string, string][] = command.rest ? [[command.rest.name, command.rest.summary]] : [];
  const tail: [string, string][] = command.command ? [['-- COMMAND…', command.command.summary]] : [];
  return [...args, ...rest, ...tail];
}

/** How each flag is written, and its meaning. */
export function flagsOf(command: Command): [string, string][] {
  return Object.entries(command.flags)
    .filter(([, { hidden }]) => hidden !== true)
    .map(([name, flag]) => [
      `${flag.char === undefined ? '    ' : `-${flag.char}, `}--${name}${valueOf(flag)}`,
      flag.summary,
    ]);
}

function valueOf(flag: Flag): string {
  if (flag.kind === 'boolean') return '';
  return ` ${flag.choices ? flag.choices.join('|') : (flag.value ?? 'VALUE')}`;
}

const bracket = (text: string, required: boolean | undefined): string => (required === true ? text : `[${text}]`);
export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

export function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([name]) => widthOf(name)));
  return rows.map(([name, meaning]) => `  ${name}${' '.repeat(width - widthOf(name))}  ${meaning}`.trimEnd());
}
