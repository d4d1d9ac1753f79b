/** docs/cli.md and docs/errors.md, out of the same tables that run. */
import { errorTable } from '../../shared/errors.ts';
import { everywhere } from '../command/flags.ts';
import { groups } from '../commands.ts';
import { argumentsOf, capital, flagsOf, usageOf } from './help.ts';

const generated = '<!-- Generated: `npm run docs` writes it anew. -->\n';

/** The whole of docs/cli.md. */
export async function cliReference(): Promise<string> {
  const parts = [
    generated,
    '# The command line\n',
    'Every command takes `--json`: one JSON document on standard output (streams: one object a line), errors as `{"error":{…}}`,',
    'progress and warnings on standard error. Exit codes are in [errors.md](errors.md). `paas config set` may be written',
    '`paas config:set`. `NO_COLOR`, `PAAS_COLOR=0` and `CI=true` turn colour and moving progress off.\n',
    '| Variable | Meaning |',
    '| --- | --- |',
    ...variables.map(([name, meaning]) => `| \`${name}\` | ${meaning} |`),
  ];
  for (const [title, group] of Object.entries(groups)) {
    parts.push(`\n## ${title}`);
    for (const [id, load] of Object.entries(group)) parts.push('', ...(await commandReference(id, load)));
  }
  return parts.join('\n') + '\n';
}

const variables = [
  ['PAAS_HOME', 'where the CLI and the platform of this machine keep their data (`~/.paas`)'],
  ['PAAS_URL', 'the platform to talk to, with `PAAS_KEY_ID` and `PAAS_KEY_SECRET` for its key'],
  ['PAAS_PROJECT', 'project, where `-p` does not name one'],
  ['PAAS_ENV', 'environment, where `-e` does not name one'],
  ['PAAS_APP', 'app, where `-a` does not name one'],
  ['PAAS_ALLOW_HTTP', '`1` accepts an unencrypted connection to another machine'],
] as const;

async function commandReference(id: string, load: (typeof groups)['Apps']['push']): Promise<string[]> {
  const { default: command } = await load();
  const lines = [`### paas ${id}`, '', `${capital(command.summary)}.`, ''];
  if (command.description !== undefined) lines.push(command.description, '');
  lines.push('```', usageOf(id, command), '```', '');
  // What every command has is said once, above.
  const own = {
    ...command,
    flags: Object.fromEntries(Object.entries(command.flags).filter(([name]) => !(name in everywhere))),
  };
  const rows = [...argumentsOf(command), ...flagsOf(own)];
  if (rows.length > 0)
    lines.push(
      '| | |',
      '| --- | --- |',
      ...rows.map(([name, meaning]) => `| \`${cell(name.trim())}\` | ${cell(meaning)} |`),
      '',
    );
  if (command.examples)
    lines.push('```sh', ...command.examples.map(([line, meaning]) => `${line}   # ${meaning}`), '```', '');
  return lines.slice(0, -1);
}

const cell = (text: string): string => text.replaceAll('|', '\\|');

/** The whole of docs/errors.md. */
export function errorsReference(): string {
  const rows = Object.entries(errorTable).map(([code, { exit, http, fault, retryable, meaning, hint }]) => {
    return `| \`${code}\` | ${exit} | ${http} | ${fault} | ${retryable ? 'yes' : 'no'} | ${meaning} | ${hint} |`;
  });
  const head = [
    generated,
    '# Errors and exit codes\n',
    'Every failure has one of these codes: in the `error.code` of `--json` and of the API, and behind the exit code of a command.',
    '`paas run` and `paas exec` pass the exit code of their command through instead. Fault says who can mend it. Retry: whether the',
    'same may succeed later without a change.\n',
    '| Code | Exit | HTTP | Fault | Retry | Meaning | What to do |',
    '| --- | --- | --- | --- | --- | --- | --- |',
  ];
  return [...head, ...rows].join('\n') + '\n';
}
