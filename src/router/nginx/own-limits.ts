/** What an app's own configuration says itself of what the router would say for it: nginx takes a directive once. */
import { parseNginx, SyntaxProblem } from '../../shared/nginx/parse.ts';

/** Whether a snippet sets a directive for its whole location; a comment, or another block, sets none. */
export const sets = (snippet: string, directive: string): boolean => valueIn(snippet, directive) !== undefined;

/** Bytes that a snippet lets a body have; undefined: it does not say, or sets no limit (0). */
export function ownBodyLimit(snippet: string): number | undefined {
  const [, digits = '', unit = ''] = /^(\d{1,15})([kmg]?)$/i.exec(valueIn(snippet, 'client_max_body_size') ?? '') ?? [];
  const bytes = Number(digits) * 1024 ** ['', 'k', 'm', 'g'].indexOf(unit.toLowerCase());
  return bytes > 0 ? bytes : undefined;
}

function valueIn(snippet: string, directive: string): string | undefined {
  if (!snippet.includes(directive)) return undefined;
  try {
    return parseNginx(snippet).find(({ name }) => name === directive)?.args[0];
  } catch (problem) {
    if (problem instanceof SyntaxProblem) return undefined; // nginx refuses it, and says why.
    throw problem;
  }
}
