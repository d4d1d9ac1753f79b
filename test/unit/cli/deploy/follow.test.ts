import type { IncomingMessage } from 'node:http';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { deployment, ended, events, harness, shop } from '../commands/support.ts';

const cli = harness();
const restart = { deployment: deployment({ kind: 'restart', state: 'rolling' }) };
const path = `${shop}/deployments/dep_1/stream`;

describe('a deployment', () => {
  it('is watched also when the platform goes away just as it was asked for', async () => {
    cli.api({ [`POST ${shop}/restart`]: restart, [`GET ${path}`]: events(['end', ended()]) });
    const { server } = cli.platform;
    const stop = (request: IncomingMessage): void => {
      if (request.method === 'GET') server.off('request', stop).closeAllConnections();
    };
    server.prependListener('request', stop);
    const { code, stderr } = await cli.paas(['restart', '-a', 'shop']);
    expect(stderr).toContain('The connection broke; connecting again. The deployment goes on meanwhile.');
    expect(code).toBe(0);
  });
  it('is said to go on when the platform does not come back', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    onTestFinished(() => void vi.useRealTimers());
    cli.platform.handle((seen, response) => {
      if (seen.method === 'POST') return response.end(JSON.stringify(restart));
      vi.setSystemTime(Date.now() + 61_000);
      response.destroy();
    });
    const { code, stderr } = await cli.paas(['restart', '-a', 'shop']);
    expect(code).toBe(10);
    expect(stderr).toContain('The deployment of shop goes on');
    expect(stderr).toContain('`paas ps -a shop` shows it');
  });
});
