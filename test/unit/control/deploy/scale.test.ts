import { describe, expect, it } from 'vitest';
import { scaleFormation } from '../../../../src/control/deploy/scale.ts';
import type { Formation } from '../../../../src/control/deploy/types.ts';

const entry = { schedule: null, memoryMb: 512, cpu: null };
const before: Formation = {
  web: { ...entry, kind: 'web', instances: 2 },
  worker: { ...entry, kind: 'worker', instances: 1 },
  nightly: { ...entry, kind: 'cron', instances: 0, schedule: '0 3 * * *' },
};
const scale = (processes: Parameters<typeof scaleFormation>[1]['processes']) =>
  scaleFormation(before, { processes }, { hostMemoryMb: 4096 });

describe('scaling', () => {
  it.each([
    ['to a number', { web: { instances: 5 } }, 'web', { instances: 5 }, ['web 2 -> 5'], false],
    ['by a number', { worker: { delta: 2 } }, 'worker', { instances: 3 }, ['worker 1 -> 3'], false],
    ['to nothing', { web: { delta: -2 } }, 'web', { instances: 0 }, ['web 2 -> 0'], false],
    ['to what is there', { web: { instances: 2 } }, 'web', { instances: 2 }, [], false],
    ['memory', { web: { memoryMb: 256 } }, 'web', { memoryMb: 256, instances: 2 }, ['web memory 512M -> 256M'], true],
    ['cpu', { web: { cpu: 0.5 } }, 'web', { cpu: 0.5 }, ['web cpu no limit -> 0.5'], true],
    [
      'memory of what runs when its time comes',
      { nightly: { memoryMb: 64 } },
      'nightly',
      { memoryMb: 64 },
      ['nightly memory 512M -> 64M'],
      false,
    ],
  ])('%s', (_, request, type, expected, changed, rolls) => {
    const after = scale(request);
    expect(after.formation[type]).toMatchObject(expected);
    expect(after.changed).toEqual(changed);
    expect(after.rolls).toBe(rolls);
    for (const other of Object.keys(before)) if (other !== type) expect(after.formation[other]).toEqual(before[other]);
  });

  it('leaves what it was given as it was', () => {
    const copy = structuredClone(before);
    scale({ web: { instances: 9 } });
    expect(before).toEqual(copy);
  });

  it.each([
    ['a process type that is not there', { api: { instances: 1 } }, 'not_found', 'web, worker, nightly'],
    ['a process type that every object has', { constructor: { instances: 1 } }, 'not_found', 'constructor'],
    ['a number for a cron', { nightly: { instances: 1 } }, 'usage', 'cron'],
    ['less than nothing', { web: { delta: -3 } }, 'usage', '2 instances'],
    ['far too many', { web: { delta: 999 } }, 'usage', '1000'],
    ['more memory than a host has', { web: { memoryMb: 8192 } }, 'no_capacity', '4096'],
  ])('refuses %s, and then changes nothing', (_, request, code, text) => {
    expect(() => scale({ worker: { instances: 4 }, ...request })).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(text) as string }),
    );
  });
});
