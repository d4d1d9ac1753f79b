import { describe, expect, it } from 'vitest';
import { parseInvocation } from '../../../../src/cli/command/parse.ts';
import { commands } from '../../../../src/cli/commands.ts';

const parse = async (id: string, ...argv: string[]) => parseInvocation(id, (await commands[id]!()).default, argv);

describe('a command line by its definition', () => {
  it('gives flags their types', async () => {
    const { flags, args } = await parse(
      'push',
      'shop',
      '-i',
      '3',
      '--memory=1.5G',
      '--cpu',
      '0.5',
      '--config',
      'A=1',
      '--config',
      'B=x=y',
      '--timeout',
      '5m',
    );
    expect(args).toEqual({ app: 'shop' });
    expect(flags).toMatchObject({
      instances: 3,
      memory: 1536,
      cpu: 0.5,
      config: ['A=1', 'B=x=y'],
      timeout: 300_000,
      'no-wait': false,
    });
  });
  it('keeps repeated and negative-looking words in their order', async () => {
    expect((await parse('scale', 'b=1', 'a-1', 'b-2')).rest).toEqual(['b=1', 'a-1', 'b-2']);
  });
  it('leaves what follows -- alone', async () => {
    const { command, flags } = await parse('run', '--detach', '--', 'echo', 'a', '--json', 'a', '-h');
    expect(command).toEqual(['echo', 'a', '--json', 'a', '-h']);
    expect(flags).toMatchObject({ detach: true, json: false, help: false });
  });
  it('takes a command without -- where it has no flags', async () => {
    const { command, args } = await parse('exec', 'web.1', 'ls', 'x');
    expect({ command, args }).toEqual({ command: ['ls', 'x'], args: { instance: 'web.1' } });
  });
  it.each([
    ['push', ['--memry', '1G'], '`paas push` has no flag --memry.', 'Did you mean --memory?'],
    [
      'push',
      ['--memory', '256'],
      '--memory: `256` is not a size of whole MiB.',
      'Write a number with its unit, as in `256M` or `1G`.',
    ],
    ['push', ['--instances', '-1'], undefined, undefined],
    ['push', ['--strategy', 'blue'], '--strategy: `blue` is none of rolling, canary, recreate.', undefined],
    ['push', ['-i', '1', '-i', '2'], '--instances is given more than once: 1, 2.', 'Give it once.'],
    ['push', ['a', 'b'], '`paas push` does not understand `b`.', 'See `paas push --help`.'],
    ['push', ['--git'], undefined, 'See `paas push --help`.'],
    ['destroy', [], '`paas destroy` needs APP.', 'See `paas destroy --help`.'],
    ['config set', [], '`paas config set` needs K=V ….', undefined],
    ['run', ['--'], 'There is no command to run.', 'Put it after --: `paas run … -- COMMAND`.'],
    ['up', ['--port', '70000'], '--port: `70000` is not a whole number from 0 to 65535.', undefined],
  ])('%s %j is refused', async (id, argv, message, hint) => {
    await expect(parse(id, ...argv)).rejects.toMatchObject({
      ...{ code: 'usage', exit: 2 },
      ...(message === undefined ? {} : { message }),
      ...(hint === undefined ? {} : { hint }),
    });
  });
});
