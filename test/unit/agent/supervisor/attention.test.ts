import { getEventListeners, once } from 'node:events';
import net from 'node:net';
import { expect, it } from 'vitest';
import { systemClock } from '../../../../src/agent/clock.ts';
import { watchRun } from '../../../../src/agent/supervisor/attention.ts';
import type { RunEnd } from '../../../../src/agent/supervisor/run.ts';

const end: RunEnd = { exit: { code: 1, signal: null, at: new Date(0) } };

/** Watches an app that answers, on a host where its processes cannot be listed. */
async function watchBlind(run: Parameters<typeof watchRun>[0], interrupt: AbortSignal) {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const target = {
    health: { type: 'port', timeoutMs: 10_000, intervalMs: 50 } as const,
    address: '127.0.0.1',
    port: (server.address() as net.AddressInfo).port,
    age: () => 0,
    healthy: false,
    settleMs: 0,
    pids() {
      throw new Error('EMFILE');
    },
    strays: () => [],
  };
  return watchRun(run, target, systemClock, interrupt, () => undefined).finally(() => server.close());
}

it('notices the end of a run that cannot be probed', async () => {
  const { signal } = new AbortController();
  const watched = watchBlind({ ended: () => Promise.resolve(end) }, signal);
  expect(await watched).toEqual({ end, failure: null });
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

it('throws what keeps it from probing a run that goes on', async () => {
  const { signal } = new AbortController();
  const ended = (over: AbortSignal): Promise<null> => once(over, 'abort').then(() => null);
  await expect(watchBlind({ ended }, signal)).rejects.toThrow('EMFILE');
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});
