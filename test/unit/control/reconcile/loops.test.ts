import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { runOnce } from '../../../../src/control/deploy/once.ts';
import { Loops } from '../../../../src/control/reconcile/loops.ts';
import { defaultTiming } from '../../../../src/control/settings.ts';
import { StoredNonces } from '../../../../src/control/store/nonces.ts';
import { addHost, addRouter, makeControl, type TestControl } from '../../../support/control.ts';
import { appRow } from '../../../support/rows.ts';

let control: TestControl;
let loops: Loops;
beforeEach(async () => {
  control = await makeControl({ settings: { timing: { ...defaultTiming, tick: 5 } } });
  await addHost(control, 'h1');
  await addRouter(control);
  loops = new Loops(() => control, new StoredNonces(control.store));
});
afterEach(async () => {
  vi.useRealTimers();
  await control.close();
});

const leaseEnds = async () =>
  (await control.store.db.selectFrom('leases').select('expires_at').executeTakeFirstOrThrow()).expires_at;

describe('maintenance', () => {
  it('that takes long holds up neither the lease nor what is due, and is waited for at the end', async () => {
    let release = (): void => undefined;
    const collected = { ...(await control.blobs.collect([], { graceMs: 0 })) };
    const collect = vi.spyOn(control.blobs, 'collect').mockImplementation(async () => {
      await new Promise<void>((resolve) => (release = resolve));
      return collected;
    });
    await loops.start();
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 6 * 60_000 });
    await expect.poll(() => collect.mock.calls.length).toBe(1);
    const later = Date.now() + 6 * 60_000;
    vi.setSystemTime(later);
    await expect.poll(leaseEnds).toBeGreaterThanOrEqual(later);
    expect(collect).toHaveBeenCalledTimes(1);
    let stopped = false;
    const stopping = loops.stop().then(() => (stopped = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(stopped).toBe(false);
    release();
    await stopping;
    expect(collect).toHaveBeenCalledTimes(1);
  });
});

it('tries one of many one-offs that find no room, and all that are smaller', async () => {
  await control.store.db.insertInto('apps').values(appRow('app_1')).execute();
  const once = { release: 1, epoch: 0, processType: 'run', kind: 'task', command: 'true' } as const;
  for (let i = 0; i < 20; i++) await runOnce(control, 'app_1', { ...once, memoryMb: 5000, tag: `large${i}` });
  await control.store.db.updateTable('hosts').set({ draining: 1 }).execute();
  for (const tag of ['small', 'smaller']) await runOnce(control, 'app_1', { ...once, memoryMb: 64, tag });
  await control.store.db.updateTable('hosts').set({ draining: 0 }).execute();
  const tried = vi.spyOn(control, 'placeOnce');
  await loops.start();
  await loops.stop();
  const waiting = await control.store.db
    .selectFrom('instances')
    .select('restart_token')
    .where('host_id', 'is', null)
    .execute();
  expect(waiting).toHaveLength(20);
  expect(waiting.map((row) => row.restart_token)).not.toContain('smaller');
  expect(tried.mock.calls.length).toBeLessThan(10);
});
