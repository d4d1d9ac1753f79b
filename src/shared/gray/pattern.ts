/**
 * Regular expressions of gray rules. They run in routers, for every request of an app: an expression that could take
 * long (catastrophic backtracking) is refused when it is written.
 */
import { PaasError } from '../errors.ts';

/** The longest text that is searched: more of a header is not looked at, so that time is bounded. */
export const maxSearched = 512;
const maxPattern = 200;
/** Ways to try an expression at a text at most: some milliseconds at worst. */
const maxTries = 2 ** 22;

/**
 * Reads an expression: what JavaScript takes, without look-around, back-references and repeated groups, and with so few
 * repetitions and alternatives that no text makes it slow. Letter case does not count.
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
  if (/\{(?:\d{3,}|\d+,\d{3,})\}/.test(bare)) refuse('it repeats something a hundred times or more');
  if (tries(bare) > maxTries) {
    refuse(
      'it has too many repetitions and alternatives, of which each multiplies the time by its range; begin it with ^',
    );
  }
  return pattern;
}

/**
 * In how many ways an expression may be tried at the longest text before it is known not to fit: from each place, with each
 * number of times for what may be repeated (`a?` 2, `a{0,9}` 10, `a*` as many as there are characters), in each branch.
 */
function tries(bare: string): number {
  const anchored = bare.startsWith('^') && !/^[^(]*\|/.test(bare);
  const repeated = [...bare.replaceAll('(?:', '(').matchAll(/([*+?]|\{(\d+)(,(\d*))?\})\??/g)];
  const ranges = repeated.map(([, sign, least, more, most]) => {
    if (sign === '?') return 2;
    if (least === undefined || (more !== undefined && most === '')) return maxSearched;
    return more === undefined ? 1 : Number(most) - Number(least) + 1;
  });
  const branches = bare.split('(').map((part) => part.split('|').length);
  return [...ranges, ...branches].reduce((product, range) => product * range, anchored ? 1 : maxSearched);
}
