/**
 * Regular expressions of gray rules. They run in routers, for every request of an app: an expression that could take
 * long (catastrophic backtracking) is refused when it is written.
 */
import { PaasError } from '../errors.ts';

/** The longest text that is searched: more of a header is not looked at, so that time is bounded. */
export const maxSearched = 512;
const maxPattern = 200;
/** Each repetition without a bound multiplies the time by the length of the text. */
const maxUnbounded = 2;

/**
 * Reads an expression: what JavaScript takes, without look-around, back-references and repeated groups, and with at
 * most two unbounded repetitions. Letter case does not count.
 * @throws PaasError `usage` with the reason
 */
export function readPattern(text: string): RegExp {
  const refuse = (why: string): never => {
    throw new PaasError('usage', `\`${text}\` cannot be a gray rule's regular expression: ${why}.`, {
      hint: 'Write one such as `Mi ?Note` or `iPhone|iPad`: every request is searched for it, so it must be quick.',
    });
  };
  if (text.length > maxPattern) refuse(`it is longer than ${maxPattern} characters`);
  let pattern: RegExp;
  try {
    pattern = new RegExp(text, 'i');
  } catch (error) {
    return refuse((error as Error).message);
  }
  // Escaped characters and classes stand for one character each: what is left of them cannot be taken for an operator.
  const bare = text
    .replace(/\\[1-9]/g, '\\1')
    .replace(/\\(?!1)./g, 'x')
    .replace(/\[[^\]]*\]/g, 'x');
  if (bare.includes('\\')) refuse('it has a back-reference');
  if (/\(\?[=!<]/.test(bare)) refuse('it looks around');
  if (/\)[*+?{]/.test(bare)) refuse('it repeats a group');
  const unbounded = bare.match(/[*+]|\{\d+,\}/g)?.length ?? 0;
  if (unbounded > maxUnbounded) refuse(`it has more than ${maxUnbounded} unbounded repetitions`);
  if (/\{(?:\d{3,}|\d+,\d{3,})\}/.test(bare)) refuse('it repeats something a hundred times or more');
  return pattern;
}
