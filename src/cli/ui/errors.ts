/** How an error looks: for people on standard error, with `--json` on standard output. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { format } from 'node:util';
import type { PaasError } from '../../shared/errors.ts';
import { version } from '../../shared/version.ts';
import type { Ui } from './ui.ts';

interface ErrorContext {
  home: string;
  command: string;
  /** Its JSON is one object a line. */
  streams: boolean;
}

/** Prints an error. `internal` writes a debug log first and names it. */
export function showError(ui: Ui, error: PaasError, context: ErrorContext): void {
  const log = error.code === 'internal' ? writeDebugLog(error, context) : null;
  if (ui.json) {
    const body = error.toJSON();
    const said = log === null ? body : { ...body, details: { ...body.details, debugLog: log } };
    ui.data({ error: said }, context.streams ? 0 : 2);
    return;
  }
  const { red, dim } = ui.errStyle;
  ui.note(`${red('Error:')} ${error.message}`);
  if (error.hint !== '') ui.note(`  ${error.hint}`);
  if (log !== null) ui.note(`  Debug log: ${log}`);
  const lines = linesOf(error.details['lastLines']);
  if (lines.length === 0) return;
  const of = error.details['instance'];
  ui.note(`  Last lines${typeof of === 'string' ? ` of ${of}` : ''}:`);
  for (const line of lines) ui.note(`    ${dim('|')} ${line}`);
}

/** Texts, or objects with a `line` as logs have them. */
function linesOf(value: unknown): string[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((item: unknown) => {
    if (typeof item === 'string') return [item];
    const line = typeof item === 'object' && item !== null && 'line' in item ? item.line : undefined;
    return typeof line === 'string' ? [line] : [];
  });
}

/** Stack and causes into a private file; null when even that fails. Arguments are left out: they may hold secrets. */
function writeDebugLog(error: PaasError, context: ErrorContext): string | null {
  const directory = join(context.home, 'logs');
  const path = join(directory, `debug-${new Date().toISOString().replaceAll(/[:.]/g, '-')}-${process.pid}.log`);
  const head = `paas ${version}, node ${process.version}, ${process.platform} ${process.arch}\ncommand: ${context.command}\n`;
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeFileSync(path, `${head}\n${format(error)}\n`, { mode: 0o600 });
    return path;
  } catch {
    return null; // The error itself is shown all the same.
  }
}
