import { appCommand } from '../command/define.ts';
import { attach, terminalOf, type SessionAnswer } from '../deploy/sessions.ts';

export default appCommand(
  {
    summary: 'run a command inside a running instance',
    streams: true,
    args: { instance: { summary: 'as `paas ps` names it: web.1', required: true } },
    rest: { name: 'COMMAND…', summary: 'the command, where it has no flags of its own' },
    command: { summary: 'the command' },
    examples: [['paas exec web.1 -- sh', 'a shell']],
  },
  async (context, { args, command }) => {
    const { client, signal, app, ui } = context;
    const tty = terminalOf(context);
    const body = { kind: 'exec', instance: args['instance'], argv: command, tty };
    const answer = await client.request<SessionAnswer>({ method: 'POST', path: `${app.path}/sessions`, body, signal });
    const code = await attach(context, answer, tty !== undefined);
    if (ui.json) await ui.write(JSON.stringify({ exit: code }) + '\n');
    return code;
  },
);
