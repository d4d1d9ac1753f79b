import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../../../src/agent/clock.ts';
import { openHost, specOf, type TestHost } from '../../../support/instances.ts';
import { eventually } from '../../../support/eventually.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const hour = 3_600_000;
let host: TestHost;
let offset = 0;
beforeEach(async () => {
  offset = 0;
  host = await openHost({ clock: { ...systemClock, now: () => Date.now() + offset } });
});
afterEach(() => host.close());

describe.runIf(process.platform === 'linux')('while the clock is set', () => {
  it('back, a stop takes no longer than its grace period', async () => {
    const spec = specOf({ command: 'trap "" TERM; echo ready; while :; do sleep 0.1; done', graceMs: 1000 });
    host.supervisor.apply([spec]);
    await host.until(spec.id, { state: 'healthy' });
    await eventually(() => host.output(spec.id)).toBe('ready\n');
    host.supervisor.apply([]);
    await host.until(spec.id, { message: 'stopping' });
    offset = -hour;
    expect((await host.until(spec.id, { state: 'stopped' })).exit?.reason).toBe('killed');
  });

  it('forward, as after the sleep of a laptop, what starts still has its time', async () => {
    const server = 'setTimeout(() => require("http").createServer((q, r) => r.end()).listen(process.env.PORT), 2000)';
    const spec = specOf({
      tree: host.trees.add({ 'server.js': server }),
      kind: 'web',
      command: `exec ${process.execPath} server.js`,
      health: { type: 'http', path: '/', timeoutMs: 60_000, intervalMs: 1000 },
    });
    host.supervisor.apply([spec]);
    await host.until(spec.id, { state: 'starting' });
    offset = hour;
    // Another look at it, by a change that needs no restart.
    host.supervisor.apply([{ ...spec, release: 2 }]);
    expect(await host.until(spec.id, { state: 'healthy' })).toMatchObject({ restarts: 0, exit: null });
  });
});
