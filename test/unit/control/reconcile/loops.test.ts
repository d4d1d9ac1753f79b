import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Loops } from '../../../../src/control/reconcile/loops.ts';
import { defaultTiming } from '../../../../src/control/settings.ts';
import { StoredNonces } from '../../../../src/control/store/nonces.ts';
import { addHost, addRouter, makeControl, type TestControl } from '../../../support/control.ts';

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
