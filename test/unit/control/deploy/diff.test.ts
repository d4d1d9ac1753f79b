import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as diff from '../../../../src/control/deploy/diff.ts';
import { emptyManifest, type Formation, type ManifestMemory } from '../../../../src/control/deploy/types.ts';
import type { AppSpec } from '../../../../src/shared/contracts/app-spec.ts';

const web = { kind: 'web' as const, schedule: null };
const spec = (change: Partial<AppSpec['processes'][string]> = {}, more: Partial<AppSpec> = {}): AppSpec => ({
  ...{ name: 'shop', processes: { web: { kind: 'web', ...change } } },
  ...more,
});
const formation = (instances: number, memoryMb = 512, cpu: number | null = null): Formation => ({
  web: { ...web, instances, memoryMb, cpu },
});
const remember = (of: AppSpec): ManifestMemory => diff.rememberManifest(of, of.routes ?? []);

describe('a formation after a push', () => {
  const merge = (before: Formation, last: AppSpec | null, now: AppSpec, flags = {}) =>
    diff.mergeFormation(before, last ? remember(last) : emptyManifest, now, { web }, flags)['web'];

  it('is the manifest’s at the first push, with defaults', () => {
    expect(merge({}, null, spec())).toEqual({ ...web, instances: 1, memoryMb: 512, cpu: null });
    expect(merge({}, null, spec({ instances: 3, memoryMb: 256, cpu: 0.5 }))).toMatchObject({
      instances: 3,
      memoryMb: 256,
      cpu: 0.5,
    });
    expect(merge({}, null, spec({ instances: 0 }))).toMatchObject({ instances: 0 });
  });

  it('keeps what was scaled while the manifest says the same', () => {
    expect(merge(formation(7), spec({ instances: 2 }), spec({ instances: 2 }))).toMatchObject({ instances: 7 });
    expect(merge(formation(0), spec(), spec())).toMatchObject({ instances: 0 });
  });

  it('follows the manifest where it changed, and only there', () => {
    const after = merge(
      formation(7, 1024),
      spec({ instances: 2, memoryMb: 256 }),
      spec({ instances: 3, memoryMb: 256 }),
    );
    expect(after).toMatchObject({ instances: 3, memoryMb: 1024 });
    expect(merge(formation(7), spec(), spec({ instances: 2 }))).toMatchObject({ instances: 2 });
    expect(merge(formation(7), spec({ instances: 2 }), spec())).toMatchObject({ instances: 7 });
  });

  it('follows flags always', () => {
    const after = merge(formation(7), spec({ instances: 2 }), spec({ instances: 2 }), {
      web: { instances: 1, memoryMb: 64 },
    });
    expect(after).toMatchObject({ instances: 1, memoryMb: 64 });
  });

  it('has no number for what runs when its time comes, and drops what is gone', () => {
    const processes = { nightly: { kind: 'cron' as const, schedule: '0 3 * * *' } };
    const now = { name: 'shop', processes: { nightly: { kind: 'cron' as const, instances: 4 } } };
    expect(diff.mergeFormation(formation(2), emptyManifest, now, processes, {})).toEqual({
      nightly: { kind: 'cron', schedule: '0 3 * * *', instances: 0, memoryMb: 512, cpu: null },
    });
  });

  it('has a place for a process of any name', () => {
    const processes = { constructor: web };
    const now: AppSpec = { name: 'shop', processes: Object.fromEntries([['constructor', { kind: 'web' as const }]]) };
    expect(diff.mergeFormation({}, emptyManifest, now, processes, {})).toEqual({
      constructor: { ...web, instances: 1, memoryMb: 512, cpu: null },
    });
  });

  it('is never changed by a push of the same manifest, whatever was scaled', () => {
    const count = fc.option(fc.nat(9), { nil: undefined });
    fc.assert(
      fc.property(count, fc.nat(9), fc.constantFrom(128, 512), (instances, scaled, memoryMb) => {
        const manifest = spec(instances === undefined ? {} : { instances });
        expect(merge(formation(scaled, memoryMb), manifest, manifest)).toEqual(formation(scaled, memoryMb)['web']);
      }),
    );
  });
});

describe('config after a push', () => {
  const merge = (
    before: Record<string, string>,
    last: Record<string, string> | null,
    now: Record<string, string>,
    flags = {},
  ) =>
    diff.mergeConfig(
      before,
      last ? remember(spec({}, { config: last })) : emptyManifest,
      spec({}, { config: now }),
      flags,
    );

  it('takes the manifest’s values at the first push', () => {
    expect(merge({}, null, { B: '2', A: '1' })).toEqual({ A: '1', B: '2' });
  });

  it('keeps what was set by hand while the manifest says the same', () => {
    expect(merge({ A: 'by hand' }, { A: '1' }, { A: '1' })).toEqual({ A: 'by hand' });
    expect(merge({ MORE: 'x' }, {}, {})).toEqual({ MORE: 'x' });
    expect(merge({}, { A: '1' }, { A: '1' }), 'unset by hand').toEqual({});
  });

  it('follows the manifest where it changed', () => {
    expect(merge({ A: 'by hand' }, { A: '1' }, { A: '2' })).toEqual({ A: '2' });
  });

  it('drops what the manifest drops, unless it was changed by hand', () => {
    expect(merge({ A: '1', B: 'by hand' }, { A: '1', B: '1' }, {})).toEqual({ B: 'by hand' });
    expect(merge({ A: '1' }, { A: '1' }, {})).toEqual({});
    expect(merge({ A: 'by hand' }, { A: '1' }, {})).toEqual({ A: 'by hand' });
  });

  it('follows flags always', () => {
    expect(merge({ A: 'by hand' }, { A: '1' }, { A: '2' }, { A: '3', B: '4' })).toEqual({ A: '3', B: '4' });
  });

  it('is remembered as hashes alone', () => {
    expect(JSON.stringify(remember(spec({}, { config: { A: 'hunter2' } })))).not.toContain('hunter2');
  });
});

describe('routes after a push', () => {
  const routes = (present: string[], last: string[], now: string[]) =>
    diff.diffRoutes(present, { ...emptyManifest, routes: last }, now);
  it.each([
    ['come at the first push', [], [], ['a'], { add: ['a'], remove: [] }],
    ['stay when nothing changes', ['a'], ['a'], ['a'], { add: [], remove: [] }],
    ['that were added by hand stay', ['a', 'hand'], ['a'], ['a'], { add: [], remove: [] }],
    ['that were removed by hand stay away', [], ['a'], ['a'], { add: [], remove: [] }],
    ['follow the manifest', ['a', 'hand'], ['a'], ['b'], { add: ['b'], remove: ['a'] }],
  ])('%s', (_, present, last, now, expected) => {
    expect(routes(present, last, now)).toEqual(expected);
  });
});

describe('plans', () => {
  it('say what a formation becomes', () => {
    expect(
      diff.formationPlan(formation(1), {
        ...formation(2, 256, 0.5),
        worker: { ...web, kind: 'worker', instances: 1, memoryMb: 64, cpu: null },
      }),
    ).toEqual([
      { action: 'scale', target: 'web', from: '1', to: '2' },
      { action: 'memory', target: 'web', from: '512M', to: '256M' },
      { action: 'cpu', target: 'web', from: 'no limit', to: '0.5' },
      { action: 'add process', target: 'worker', from: null, to: '1 x 64M' },
    ]);
    expect(diff.formationPlan(formation(1), {})).toEqual([
      { action: 'remove process', target: 'web', from: '1 x 512M', to: null },
    ]);
    expect(diff.formationPlan(formation(1), formation(1))).toEqual([]);
  });

  it('name config without its values', () => {
    const lines = diff.configPlan({ A: 'hunter1', B: 'hunter2', C: 'x' }, { A: 'hunter3', C: 'x', D: 'hunter4' });
    expect(lines.map(({ action, target }) => `${action} ${target}`)).toEqual([
      'set config A',
      'unset config B',
      'set config D',
    ]);
    expect(JSON.stringify(lines)).not.toContain('hunter');
  });
});

describe('equality of JSON', () => {
  it('does not mind the order of keys, but that of lists', () => {
    expect(diff.sameJson({ a: 1, b: { c: [1, 2], d: null } }, { b: { d: null, c: [1, 2] }, a: 1 })).toBe(true);
    expect(diff.sameJson({ a: [1, 2] }, { a: [2, 1] })).toBe(false);
    expect(diff.sameJson({ a: 1 }, { a: '1' })).toBe(false);
  });
});
