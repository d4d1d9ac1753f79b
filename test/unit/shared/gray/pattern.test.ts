import { describe, expect, it } from 'vitest';
import { readPattern } from '../../../../src/shared/gray/pattern.ts';

const taken = [
  ...['Mi ?Note', 'iPhone|iPad', '^nightly', '(iPhone|iPad).*OS 1[67]', '(?:Pixel|Nexus) \\d+', 'SM-[A-Z]\\d{3}'],
  ...['^Mozilla.*Android.*Mi ?Note', 'v\\d+\\.\\d', 'a{2,5}b?', 'Build/[^)]*QA', 'x+?y', 'a\\*b\\+c\\?', '[*+?]{3}'],
];
const refused: [string, RegExp][] = [
  ['a?'.repeat(60) + 'a{60}', /too many repetitions/],
  ['(a|a)'.repeat(36), /too many repetitions/],
  ['(?:a|b|a)'.repeat(20), /too many repetitions/],
  ['.{0,99}.{0,99}.{0,99}.{0,99}Z', /too many repetitions/],
  ['.*Mi.*Note', /too many repetitions.*\^/],
  ['^a*b*c*d', /too many repetitions/],
  ['^a|b*c*d', /too many repetitions/],
  ['(a+)+', /repeats a group/],
  ['(a)\\1', /back-reference/],
  ['(?=a)b', /looks around/],
  ['a{100}', /a hundred times/],
  ['(', /group/i],
  ['x'.repeat(201), /longer than/],
];

describe('the regular expression of a gray rule', () => {
  it.each(taken)('may be %s', (text) => {
    expect(readPattern(text).flags).toBe('i');
  });

  it.each(refused)('is refused where a text could make it slow: %s', (text, why) => {
    expect(() => readPattern(text)).toThrow(why);
  });
});
