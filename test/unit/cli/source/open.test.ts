import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSource } from '../../../../src/cli/source/index.ts';
import { walkSource } from '../../../../src/cli/source/walk.ts';

describe('openSource', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'paas-open-'));
    mkdirSync(join(directory, 'app'));
    symlinkSync('app', join(directory, 'link'));
    writeFileSync(join(directory, 'text'), 'text');
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  it('opens a directory, also through a link, and leaves it there when it is disposed of', async () => {
    for (const name of ['app', 'link']) {
      const source = await openSource({ path: join(directory, name) });
      expect(source).toMatchObject({ temporary: false, provenance: { kind: 'directory' }, notices: [] });
      expect(source.directory.endsWith('/app')).toBe(true);
      await source.dispose();
    }
  });

  it('names a path that is not there, and one that is neither directory nor archive', async () => {
    for (const path of [join(directory, 'none'), join(directory, 'text', 'below')])
      await expect(openSource({ path })).rejects.toMatchObject({
        code: 'not_found',
        message: expect.stringContaining(path),
      });
    for (const path of [join(directory, 'text'), '/dev/null'])
      await expect(openSource({ path })).rejects.toMatchObject({ code: 'source_invalid' });
  });

  it('refuses to push nothing', async () => {
    const source = await openSource({ path: join(directory, 'app') });
    await expect(walkSource(source)).rejects.toMatchObject({
      code: 'source_invalid',
      message: expect.stringContaining('nothing to push'),
    });
  });
});
