/** Procfile: `type: command` a line, as Heroku, Cloud Foundry and foreman read it. */
import { dnsLabel } from '../../shared/ids.ts';
import { kindOf, newDraft, type Draft } from './draft.ts';
import { slugify } from './leaves.ts';
import type { Problems } from './problems.ts';

/**
 * Reads a Procfile. Process types become DNS labels (`my_worker` is `my-worker`, with a warning). `release` is not a
 * process type but the command that runs before a rollout, as on Heroku.
 */
export function readProcfile(text: string, file: string, problems: Problems): Draft {
  const draft = newDraft();
  const firstLine = new Map<string, number>();
  for (const [index, raw] of text.split(/\r\n|\n|\r/).entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const at = { file, line: index + 1, column: raw.length - raw.trimStart().length + 1 };
    const [, name = '', command = ''] = /^([A-Za-z0-9_-]+)\s*:\s*(.*)$/.exec(line) ?? [];
    const type = slugify(name);
    if (!dnsLabel.test(type)) {
      problems.add(at, 'not a line of the form `type: command`', 'as in `web: node server.js`; comments begin with #');
      continue;
    }
    if (command === '' || command.includes('\0')) {
      problems.add(at, `the process type \`${name}\` has no ${command === '' ? '' : 'valid '}command`);
      continue;
    }
    const first = firstLine.get(type);
    if (first !== undefined) {
      problems.add(at, `duplicate process type \`${name}\``, `it is first given in line ${first}`);
      continue;
    }
    firstLine.set(type, at.line);
    if (type !== name) problems.warn(`the process type \`${name}\` is called \`${type}\` here`, at);
    if (type === 'release') draft.app.release = command;
    else draft.app.processes[type] = { kind: kindOf(type), command };
  }
  return draft;
}

/** Gives a draft the commands, process types and release command that it lacks and a Procfile has. */
export function supplement(draft: Draft, procfile: Draft): void {
  if (draft.app.release === undefined && procfile.app.release !== undefined) draft.app.release = procfile.app.release;
  for (const [type, { command }] of Object.entries(procfile.app.processes)) {
    const own = Object.hasOwn(draft.app.processes, type) ? draft.app.processes[type] : undefined;
    if (command === undefined || own?.command !== undefined) continue;
    draft.app.processes[type] = { kind: kindOf(type), ...own, command };
  }
}
