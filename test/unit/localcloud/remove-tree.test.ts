import { chmodSync, existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { removeTree } from '../../../src/localcloud/remove-tree.ts';

it('removes a tree with read-only directories, and one that is not there', async () => {
  const root = mkdtempSync(join(tmpdir(), 'paas-remove-'));
  const inner = join(root, 'a', 'b');
  mkdirSync(inner, { recursive: true });
  writeFileSync(join(inner, 'file'), '');
  chmodSync(inner, 0o500);
  chmodSync(join(root, 'a'), 0o500);
  await removeTree(root);
  expect(existsSync(root)).toBe(false);
  await removeTree(root);
});
