/** Collects everything that is wrong or doubtful, so that one run shows it all. */
import { PaasError } from '../../shared/errors.ts';
import type { Position } from './tree.ts';

export interface Problem extends Position {
  message: string;
  hint?: string;
}

/** Something the person should know, though the push goes on. */
export interface Warning {
  message: string;
  file?: string;
  line?: number;
  column?: number;
}

/** More than these are only counted: nobody mends the 51st first. */
const shown = 50;

export class Problems {
  readonly list: Problem[] = [];
  readonly warnings: Warning[] = [];

  add(at: Position, message: string, hint?: string): void {
    this.list.push({ ...at, message, ...(hint === undefined ? {} : { hint }) });
  }

  warn(message: string, at?: Position): void {
    this.warnings.push({ message, ...at });
  }

  /** Throws `manifest_invalid` with all problems in reading order, if there are any. */
  throwIfAny(): void {
    if (this.list.length === 0) return;
    // Aliases and merge keys make one mistake show up once for each place that uses it.
    const lines = new Map(this.list.map((problem) => [problemText(problem), problem]));
    const problems = [...lines.values()].sort(
      (a, b) => compare(a.file, b.file) || a.line - b.line || a.column - b.column,
    );
    const [first] = problems;
    if (problems.length === 1 && first !== undefined) {
      throw new PaasError('manifest_invalid', problemText(first), { details: { problems } });
    }
    const files = [...new Set(problems.map((problem) => problem.file))].join(', ');
    const rest = problems.length > shown ? [`… and ${problems.length - shown} more`] : [];
    const text = [...problems.slice(0, shown).map(problemText), ...rest].map((line) => `\n  ${line}`).join('');
    throw new PaasError('manifest_invalid', `${problems.length} problems in ${files}:${text}`, {
      hint: 'Correct the lines that the message names.',
      details: { problems: problems.slice(0, shown), count: problems.length },
    });
  }
}

/** `unknown key \`comand\` at paas.yml:7:5; did you mean \`command\`?` */
export function problemText({ file, line, column, message, hint }: Problem): string {
  return `${message} at ${file}:${line}:${column}${hint === undefined ? '' : `; ${hint}`}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
