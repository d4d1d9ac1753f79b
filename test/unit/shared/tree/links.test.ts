import { describe, expect, it } from 'vitest';
import { checkLink } from '../../../../src/shared/tree/links.ts';

describe('checkLink', () => {
  it.each([
    ['current', 'releases/1'],
    ['a/b/c', '../../d'],
    ['a/b', '../a/./b//c'],
    ['a', '.'],
    ['a/b', '..'],
    ['a', 'does/not/exist'],
  ])('lets %s -> %s stay', (path, target) => expect(() => checkLink(path, target)).not.toThrow());

  it.each([
    ['a', '/etc/passwd'],
    ['a', '..'],
    ['a/b', '../..'],
    ['a/b', 'c/../../../d/b'],
    ['a', ''],
    ['a', 'C:\\Windows'],
    ['a', 'b\0c'],
  ])('refuses %s -> %s and names the link', (path, target) =>
    expect(() => checkLink(path, target)).toThrow(
      expect.objectContaining({ code: 'source_invalid', message: expect.stringContaining(JSON.stringify(path)) }),
    ),
  );
});
