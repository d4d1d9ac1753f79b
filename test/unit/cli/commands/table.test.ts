import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { commands, topics } from '../../../../src/cli/commands.ts';
import { findCommand } from '../../../../src/cli/command/find.ts';

const directory = fileURLToPath(new URL('../../../../src/cli/commands', import.meta.url));

function files(at = directory, prefix = ''): string[] {
  return readdirSync(at, { withFileTypes: true }).flatMap((item) =>
    item.isDirectory()
      ? files(join(at, item.name), `${prefix}${item.name} `)
      : [`${prefix}${item.name.replace(/\.ts$/, '')}`],
  );
}

describe('the table of commands', () => {
  it('has every file, and a file for every command', () => {
    expect(Object.keys(commands).sort()).toEqual(files().sort());
  });
  it('has a topic for every command of two words', () => {
    const first = Object.keys(commands).flatMap((id) => (id.includes(' ') ? [id.split(' ')[0]] : []));
    expect(new Set(first)).toEqual(new Set(Object.keys(topics)));
  });
  it.each(Object.entries(commands))('%s can be read in the help', async (_, load) => {
    const { default: command } = await load();
    expect(command.summary).toMatch(/^\S.*[^.]$/);
    const chars = Object.values(command.flags).flatMap(({ char }) => (char === undefined ? [] : [char]));
    expect(new Set(chars).size, 'one-letter flags are unique').toBe(chars.length);
  });
});

describe('a command line', () => {
  it.each([
    [['config'], 'config', []],
    [['config', 'set', 'A=1'], 'config set', ['A=1']],
    [['config:set', 'A=1'], 'config set', ['A=1']],
    [['config', '--reveal'], 'config', ['--reveal']],
    [['help', 'config', 'set'], 'config set', ['--help']],
    [['apps', '--json'], 'apps', ['--json']],
  ])('%j is %s', async (argv, id, rest) => {
    expect(await findCommand(argv)).toMatchObject({ id, argv: rest });
  });
  it('of a topic without a verb shows its commands', async () => {
    expect(await findCommand(['certs', '--help'])).toMatchObject({ id: 'certs' });
    expect(await findCommand(['rollout', '-w'])).toMatchObject({ id: 'rollout', argv: ['-w'] });
    expect(await findCommand(['rollout', 'status'])).toMatchObject({ id: 'rollout status', argv: [] });
  });
  it.each([
    [['pusch'], 'Did you mean `paas push`?'],
    [['rollout', 'cancle'], 'Did you mean `paas rollout cancel`?'],
    [['xyzzy'], 'See `paas --help`.'],
    [['--frob'], 'See `paas --help`.'],
    [['constructor'], 'See `paas --help`.'],
  ])('%j is refused with a hint', async (argv, hint) => {
    await expect(findCommand(argv)).rejects.toMatchObject({ code: 'usage', exit: 2, hint });
  });
});
