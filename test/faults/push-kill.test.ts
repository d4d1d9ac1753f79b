/** `kill -9` of the control plane and of the router process at every step of a push: after each event that it records, and before the first. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { killNow, startPlatform, type Platform } from '../support/platform.ts';
import { platformForKills, survivesKills, victims } from '../support/push-kill.ts';

let paas: Platform;
beforeAll(async () => {
  paas = await startPlatform(platformForKills);
});
afterAll(() => paas.remove());

survivesKills('the control plane', victims['the control plane'], () => paas);
survivesKills('the router process', victims['the router process'], () => paas);

describe('a kill of the control plane in the middle of an upload', () => {
  it('goes on where it was when the server is back', async () => {
    const cwd = paas.source('probe', {
      'paas.yml': 'name: bulky\nprocesses: { web: { command: node server.js, memory: 300M } }\n',
    });
    // Random, so that no part is there already.
    for (let i = 0; i < 6; i++) writeFileSync(join(cwd, `bulk-${i}`), randomBytes(5_000_000));
    const push = paas.start(['push', '--json'], { cwd });
    await paas.waitFor('the upload to begin', () => push.stderr.includes('Sending'));
    await killNow([paas.pid('servers')]);
    await paas.up();
    const told = await push.exited;
    expect([0, 10], told.toString()).toContain(told.code);
    await paas.ok(['push'], { cwd });
    expect((await paas.get('bulky')).text).toBe('version 1');
    await paas.ok(['destroy', 'bulky', '--yes']);
  });
});
