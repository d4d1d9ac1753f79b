/** What a schema complains of, in words. zod/mini comes without messages, and full ones would double what it loads. */
import type * as z from 'zod/mini';

type Issue = z.core.$ZodIssue;

/** `path: what is wrong`, joined by "; ". Names fields and what was expected, never a value: it may be a secret. */
export function describeIssues(issues: readonly Issue[], whole = 'input'): string {
  return issues.map((issue) => `${issue.path.join('.') || whole}: ${wrong(issue)}`).join('; ');
}

function wrong(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${issue.expected}`;
    case 'unrecognized_keys':
      return `unknown ${issue.keys.join(', ')}`;
    case 'invalid_value':
      return `must be one of ${issue.values.map(String).join(', ')}`;
    case 'too_small':
      if (issue.origin === 'string' && issue.minimum === 1) return 'must not be empty';
      return `must be ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}${unit(issue.origin)}`;
    case 'too_big':
      return `must be ${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}${unit(issue.origin)}`;
    case 'invalid_union':
      return 'has none of the shapes that are allowed';
    case 'invalid_key':
    case 'invalid_element':
      return issue.issues.map(wrong).join(', ');
    case 'custom':
    case 'invalid_format':
    case 'not_multiple_of':
      return issue.message;
  }
}

function unit(origin: string): string {
  if (origin === 'string') return ' characters';
  return origin === 'array' ? ' items' : '';
}
