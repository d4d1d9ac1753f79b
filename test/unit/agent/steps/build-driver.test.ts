import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { removeTree } from '../../../../src/agent/remove-tree.ts';
import { BuildCache } from '../../../../src/agent/steps/build-cache.ts';
import { createBuildDriver, type BuildOptions } from '../../../../src/agent/steps/build.ts';
import type { BuildStep } from '../../../../src/shared/contracts/steps.ts';
import { PaasError } from '../../../../src/shared/errors.ts';
import { openTemporary } from '../../../support/instances.ts';

let directory: string;
const log = { info: vi.fn(), warn: vi.fn(), error: vi.fn() };
beforeEach(() => {
  directory = openTemporary();
  vi.clearAllMocks();
});
afterEach(() => removeTree(directory));

const step = (id: string, project = 'default'): BuildStep => ({
  ...{ kind: 'build', id, app: { id: 'app_1', name: 'shop', project, environment: 'dev' } },
  ...{ source: 'a'.repeat(64), base: { name: 'host', digest: '0'.repeat(64) }, needs: [], commands: [], files: {} },
  ...{ sharedCaches: {}, memoryMb: 512, timeoutMs: 30_000 },
});

/** A driver whose builds fail as soon as they begin; `begun` has their number. */
function failing(trimShared: (project: string) => Promise<void>) {
  const group = { remove: () => undefined };
  const state = { begun: 0 };
  const driver = createBuildDriver({
    ...{ directory, scriptDirectory: directory, hostName: 'h1', env: {}, path: '', tools: {}, log },
    trees: { using: (work: () => Promise<unknown>) => work() },
    bases: {
      resolve: () => {
        state.begun += 1;
        return Promise.reject(new PaasError('not_found', 'no such base'));
      },
    },
    runtimes: { choose: () => ({}) },
    limits: { open: () => group },
    logs: { begin: () => undefined, end: () => Promise.resolve() },
    cache: { trimShared },
  } as unknown as BuildOptions);
  const run = (one: BuildStep) => driver.run(one, new AbortController().signal).catch((error: unknown) => error);
  return { run, state };
}

it('has its result before caches are looked through; the next build of the project waits for that', async () => {
  let fail: (error: Error) => void = () => undefined;
  const trimmed = vi.fn((project: string) =>
    project === 'other' ? Promise.resolve() : new Promise<void>((_, reject) => (fail = reject)),
  );
  const { run, state } = failing(trimmed);
  expect(await run(step('bld_1'))).toMatchObject({ code: 'not_found' });
  expect(trimmed).toHaveBeenCalledOnce();
  const next = run(step('bld_2'));
  expect(await run(step('bld_3', 'other'))).toMatchObject({ code: 'not_found' });
  expect(state.begun).toBe(2);
  fail(new Error('ENOTEMPTY'));
  // Nor is a failure of that a build's.
  expect(await next).toMatchObject({ code: 'not_found' });
  expect(state.begun).toBe(3);
  expect(log.warn).toHaveBeenCalledWith(expect.stringContaining('caches'), expect.anything());
});

it('empties a shared cache that grew too large, with what was left of an earlier one, and no other', async () => {
  const cache = new BuildCache(directory, log, { keyedBytes: 1000, sharedBytes: 1000 });
  const [large, small] = [cache.shared('default', 'npm', null), cache.shared('default', 'pip', null)];
  mkdirSync(join(large, 'deep'));
  writeFileSync(join(large, 'deep', 'file'), 'x'.repeat(2000));
  writeFileSync(join(small, 'file'), 'x'.repeat(200));
  mkdirSync(join(directory, 'default', 'trash', 'left'), { recursive: true });
  await cache.trimShared('default');
  expect(readdirSync(join(directory, 'default'))).toEqual(['shared']);
  expect(readdirSync(join(directory, 'default', 'shared'))).toEqual(['pip']);
  expect(statSync(join(small, 'file')).size).toBe(200);
});
