import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { PaasError } from '../../shared/errors.ts';
import { dnsLabel } from '../../shared/ids.ts';
import { platformCommand } from '../command/define.ts';
import { flag } from '../command/flags.ts';
import { slugify } from '../manifest/leaves.ts';
import { inInstallation } from '../platform/files.ts';

export default platformCommand(
  {
    summary: 'make a starter app',
    args: { directory: { summary: 'where (default: this directory)' } },
    flags: {
      template: flag.choice({ choices: ['node', 'python', 'java', 'static'], summary: 'what in (node)' }),
      name: flag.text({ value: 'NAME', summary: "the app's name (default: the directory's)" }),
    },
    examples: [['paas init shop --template python && cd shop && paas push', 'from nothing to a live app']],
  },
  ({ ui }, { args, flags }) => {
    const directory = resolve(args['directory'] ?? '.');
    const name = flags.name ?? slugify(basename(directory));
    if (!dnsLabel.test(name)) {
      throw new PaasError('usage', `\`${name}\` is no name for an app: use a-z, 0-9 and -.`, {
        hint: 'Name it: `--name shop`.',
      });
    }
    const template = flags.template ?? 'node';
    const from = inInstallation(`templates/${template}`);
    const files = filesOf(from);
    const present = files.filter((file) => existsSync(join(directory, file)));
    if (present.length > 0) {
      throw new PaasError('conflict', `${directory} has ${present.join(', ')} already; nothing was written.`, {
        hint: 'Name another directory: `paas init DIR`.',
      });
    }
    for (const file of files) {
      const target = join(directory, file);
      mkdirSync(dirname(target), { recursive: true });
      const { mode } = statSync(join(from, file));
      writeFileSync(target, readFileSync(join(from, file), 'utf8').replaceAll('{{name}}', name), { flag: 'wx', mode });
    }
    const where = args['directory'] === undefined ? '' : `cd ${args['directory']} && `;
    ui.show({ name, directory, template, files }, () => {
      ui.line(`Made ${name}, a ${template} app: ${files.join(', ')}`);
      ui.line(`Next: ${where}paas push`);
    });
    return Promise.resolve(0);
  },
);

function filesOf(directory: string, prefix = ''): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((item) =>
    item.isDirectory() ? filesOf(join(directory, item.name), `${prefix}${item.name}/`) : [prefix + item.name],
  );
}
