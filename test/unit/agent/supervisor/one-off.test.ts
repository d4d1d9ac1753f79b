import { afterEach, expect, it, vi } from 'vitest';
import { openHost, specOf, type TestHost } from '../../../support/instances.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let host: TestHost;
afterEach(() => host.close());

it.runIf(process.platform === 'linux')('holds the base of a one-off until it is over, also when it fails', async () => {
  host = await openHost();
  const first = await host.supervisor.oneOff(specOf());
  const second = await host.supervisor.oneOff(specOf());
  expect(host.holds).toBe(2);
  await first.finish();
  expect(host.holds).toBe(1);
  await second.finish();
  expect(host.holds).toBe(0);
  host.resolve = () => Promise.reject(new Error('no such base'));
  await expect(host.supervisor.oneOff(specOf())).rejects.toThrow('no such base');
  expect(host.holds).toBe(0);
});
