/**
 * What an app may say in nginx configuration of its own, which is put into its own location. Everything is refused that
 * is not known to stay there: a list of what is allowed, since nginx and its modules have hundreds of directives. Pure;
 * whether nginx takes it is for the router to say (Router.checkSnippet).
 */
import { maxSnippetBytes } from '../limits.ts';
import { allowed, lineFlaw, refused } from './directives.ts';
import { parseNginx, SyntaxProblem, type Directive } from './parse.ts';
import { foreignVariables } from './variables.ts';

export interface SnippetProblem {
  /** From 1. */
  line: number;
  message: string;
}

/**
 * @param options.allowLua `…_by_lua_block` is taken as it is: Lua can do whatever the router can
 * @returns what is wrong, by line; none: it may be given to a router
 */
export function checkSnippet(text: string, options: { allowLua: boolean }): SnippetProblem[] {
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > maxSnippetBytes)
    return [{ line: 1, message: `it has ${bytes} bytes; ${maxSnippetBytes / 1024} KiB are allowed` }];
  const control = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/.exec(text);
  if (control) return [{ line: lineOf(text, control.index), message: 'it has a control character in it' }];
  try {
    return parseNginx(text).flatMap((directive) => check(directive, options.allowLua, null));
  } catch (problem) {
    if (problem instanceof SyntaxProblem) return [{ line: problem.line, message: problem.message }];
    throw problem;
  }
}

/** Problems as a message shows them: one a line. */
export const formatProblems = (problems: readonly SnippetProblem[]): string =>
  problems.map(({ line, message }) => `  line ${line}: ${message}`).join('\n');

const lineOf = (text: string, index: number): number => text.slice(0, index).split('\n').length;

/** @param parent the block that it stands in; null: the location itself */
function check(directive: Directive, allowLua: boolean, parent: string | null): SnippetProblem[] {
  const { name, args, line, block, lua } = directive;
  const problem = (message: string): SnippetProblem[] => [{ line, message }];
  if (/_by_lua(?:_|$)/.test(name)) {
    if (lua === undefined) return problem(`\`${name}\` is refused: write Lua as \`…_by_lua_block { }\``);
    return allowLua ? [] : problem(`\`${name}\` is refused: Lua needs an owner of the platform and --allow-lua`);
  }
  const rule = Object.hasOwn(allowed, name) ? allowed[name] : undefined;
  if (!rule) return problem(`\`${name}\` is refused: ${refused(name)}`);
  if ((block !== undefined) !== (rule.block === true))
    return problem(`\`${name}\` ${rule.block ? 'needs a block in braces' : 'has no block in braces'}`);
  if (rule.block && parent !== null) return problem(`\`${name}\` is refused in \`${parent}\`: blocks do not nest here`);
  if (args.length < (rule.min ?? 1)) return problem(`\`${name}\` needs a value`);
  const expanded = rule.expanded ? rule.expanded(args) : args;
  const foreign = expanded.flatMap(foreignVariables);
  if (foreign.length > 0) {
    return problem(`\`$${foreign[0]!}\` in \`${name}\` is refused: it is no variable of the app's own requests`);
  }
  const isBroken = rule.lines !== true && args.some((arg) => /[\r\n]/.test(arg));
  const flaw = isBroken ? lineFlaw : rule.flaw?.(args);
  if (flaw !== undefined) return problem(`\`${name}\` is refused: ${flaw}`);
  return (block ?? []).flatMap((inner) => check(inner, allowLua, name));
}
