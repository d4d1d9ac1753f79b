import { appCommand } from '../command/define.ts';
import { flag } from '../command/flags.ts';
import { attach, terminalOf, type SessionAnswer } from '../deploy/sessions.ts';

export default appCommand(
  {
    summary: 'run a command in a fresh instance of the app',
    streams: true,
    description:
      'Input, output and exit code are those of the command. With both ends at a terminal, so is the command.',
    rest: { name: 'COMMAND…', summary: 'the command, where it has no flags of its own' },
    command: { summary: 'the command' },
    flags: {
      detach: flag.boolean({ summary: 'do not wait; its output goes to the logs' }),
      memory: flag.size({ char: 'm', summary: 'its memory (512M)' }),
    },
    examples: [
      ['paas run -- npm run migrate', 'a one-off task'],
      ['paas run -- sh < setup.sh', 'a script from here'],
    ],
  },
  async (context, { flags, command }) => {
    const { client, signal, app, ui } = context;
    const { detach, memory } = flags;
    const tty = detach ? undefined : terminalOf(context);
    const body = { kind: 'run', argv: command, detach, tty, memoryMb: memory };
    const request = { method: 'POST', path: `${app.path}/sessions`, body } as const;
    // Detached, it begins here: Ctrl-C has to leave no doubt whether it has. Otherwise it begins when we attach to it.
    const answer = await client.request<SessionAnswer>(detach ? request : { ...request, signal });
    if (!detach) {
      const code = await attach(context, answer, tty !== undefined);
      if (ui.json) await ui.write(JSON.stringify({ exit: code }) + '\n');
      return code;
    }
    const { instance } = answer;
    ui.show({ app: app.name, instance }, () =>
      ui.line(`Started ${instance}. \`paas logs${app.flags} --instance ${instance}\` shows its output.`),
    );
    return 0;
  },
);
