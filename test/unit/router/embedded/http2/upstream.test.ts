import { expect, it } from 'vitest';
import { LiveEndpoint } from '../../../../../src/router/embedded/endpoints.ts';
import type { HeldUpstream } from '../../../../../src/router/embedded/http/ends.ts';
import { StreamUpstream } from '../../../../../src/router/embedded/http2/upstream.ts';
import { ReleaseCounter } from '../../../../../src/router/embedded/traffic.ts';

it('is forgotten when no connection can be made', async () => {
  const where = { instance: 'i', name: 'web.1', release: 1, address: '127.0.0.1', port: 1 };
  const endpoint = new LiveEndpoint(where, new ReleaseCounter('app', 1));
  const all = new Set<HeldUpstream>();
  const failure = await new Promise((resolve) => {
    for (let n = 0; n < 3; n++) new StreamUpstream(endpoint, all, Date.now() + 60_000, resolve);
  });
  expect(failure).toBe('refused');
  await expect.poll(() => [all.size, endpoint.links.length]).toEqual([0, 0]);
});
