import { expect, it } from 'vitest';
import * as z from 'zod/mini';
import { routerSettings } from '../../../../src/shared/contracts/app-spec.ts';

const day = 86_400_000;

it('takes no time that the timers of a router cannot hold: they would end at once', () => {
  const takes = (settings: z.input<typeof routerSettings>) => z.safeParse(routerSettings, settings).success;
  for (const ms of [day, 2 ** 31]) {
    const isShort = ms === day;
    expect(takes({ limits: { concurrency: 1, queue: 1, queueMs: ms } })).toBe(isShort);
    expect(takes({ limits: { responseMs: ms } })).toBe(isShort);
    expect(takes({ outlier: { failures: 5, ejectMs: ms } })).toBe(isShort);
  }
});
