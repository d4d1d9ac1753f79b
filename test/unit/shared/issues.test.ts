import { describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { describeIssues } from '../../../src/shared/issues.ts';

const schema = z.strictObject({
  name: z.string().check(z.minLength(1), z.maxLength(3)),
  mode: z.enum(['a', 'b']),
  sizes: z.array(z.int().check(z.positive())),
});
const wrong = (value: unknown) => describeIssues(schema.safeParse(value).error?.issues ?? [], 'configuration');

describe('describeIssues', () => {
  it('names the field and what it must be, and never the value', () => {
    expect(wrong({ name: 'hush', mode: 'hush', sizes: [1, 'hush', -1], hush1: 1 })).toBe(
      'name: must be at most 3 characters; mode: must be one of a, b; sizes.1: must be number; ' +
        'sizes.2: must be more than 0; configuration: unknown hush1',
    );
    expect(wrong({ name: '', mode: 'a', sizes: [] })).toBe('name: must not be empty');
    expect(wrong({ mode: 'a', sizes: [] })).toBe('name: must be string');
    expect(wrong(7)).toBe('configuration: must be object');
  });
});
