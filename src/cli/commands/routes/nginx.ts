import type { NginxChange, NginxView } from '../../../shared/contracts/api.ts';
import { PaasError } from '../../../shared/errors.ts';
import { maxSnippetBytes } from '../../../shared/limits.ts';
import { appCommand } from '../../command/define.ts';
import { flag } from '../../command/flags.ts';
import { readTextFile } from '../../deploy/text-file.ts';

export default appCommand(
  {
    summary: "show, set or remove an app's own nginx configuration",
    description:
      'It is put into the location of the app, so only what stays there is allowed: headers, limits, compression, rewrites,\n' +
      'time-outs. It is checked by the router before anything is changed, and in force when the command ends.',
    args: { app: { summary: 'its name' } },
    flags: {
      file: flag.text({ value: 'FILE', summary: 'the configuration, at most 64 KiB' }),
      remove: flag.boolean({ summary: 'take it away' }),
      'allow-lua': flag.boolean({ summary: 'with Lua blocks, which can do whatever the router can; for owners only' }),
    },
    examples: [
      ['paas routes nginx shop --file shop.conf', 'check it, then put it in force'],
      ['paas routes nginx shop', 'print it'],
    ],
  },
  async ({ ui, client, signal, app }, { flags }) => {
    const path = `${app.path}/nginx`;
    const { file, remove } = flags;
    if (file !== undefined && remove)
      throw new PaasError('usage', 'Either --file or --remove.', { hint: 'See `paas routes nginx --help`.' });
    if (flags['allow-lua'] && file === undefined)
      throw new PaasError('usage', '--allow-lua is for --file.', { hint: 'See `paas routes nginx --help`.' });
    if (file !== undefined) {
      const nginx = await readTextFile(file, maxSnippetBytes, '--file');
      const body = { nginx, allowLua: flags['allow-lua'] };
      const answer = await client.request<NginxChange>({ method: 'PUT', path, body, timeoutMs: 60_000 });
      const done = answer.changed ? 'is in force' : 'was in force already';
      ui.show(answer, () => ui.line(`The nginx configuration of ${app.name} ${done}.`));
    } else if (remove) {
      const answer = await client.request<NginxChange>({ method: 'DELETE', path, timeoutMs: 60_000 });
      const done = answer.changed ? 'is removed' : 'was not there';
      ui.show(answer, () => ui.line(`nginx configuration of ${app.name} ${done}.`));
    } else {
      const view = await client.request<NginxView>({ method: 'GET', path, signal });
      ui.show(view, () => {
        if (view.nginx === null) ui.line(`${app.name} has no nginx configuration of its own.`);
        else for (const line of view.nginx.trimEnd().split(/\r?\n/)) ui.line(line);
      });
    }
    return 0;
  },
);
