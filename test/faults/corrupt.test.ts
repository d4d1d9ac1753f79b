/** Bytes that changed on a disk: found by their hash, fetched or sent again, and never run. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostRow } from '../../src/shared/contracts/api.ts';
import { startPlatform, type Platform } from '../support/platform.ts';

let paas: Platform;
beforeAll(async () => {
  paas = await startPlatform();
});
afterAll(() => paas.remove());

/** A source that no other test has. Its web process answers `/look?path=mark.txt`. */
const source = (mark: string): string => paas.source('probe', { 'mark.txt': `${mark} is whole\n` });
const look = async (app: string): Promise<string> => (await paas.get(app, '/look?path=mark.txt')).text;

/** Turns bits of a stored object where it lies: in every pack below `directory` that has `text`. */
function damage(directory: string, text: string): number {
  const packs = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.pack'));
  let damaged = 0;
  for (const name of packs) {
    const bytes = readFileSync(join(directory, name));
    const at = bytes.indexOf(text);
    if (at < 0) continue;
    bytes.write('#', at);
    writeFileSync(join(directory, name), bytes);
    damaged++;
  }
  return damaged;
}
const serverStore = (): string => join(paas.home, 'platform', 'server', 'blobs', 'packs');

async function removeComputeHosts(): Promise<void> {
  const compute = async (): Promise<HostRow[]> =>
    (await paas.json<HostRow[]>(['hosts'])).filter(({ roles }) => roles.includes('compute'));
  for (const { name } of await compute()) await paas.ok(['hosts', 'remove', name, '--yes']);
  await paas.waitFor('the hosts to be gone', async () => (await compute()).length === 0, 60_000);
}

describe('a damaged blob', () => {
  it("in a host's store is found when an instance is made of it, and fetched again", async () => {
    await paas.ok(['push', 'alpha'], { cwd: source('alpha') });
    expect(damage(paas.hostRoot ?? '', 'alpha is whole')).toBe(1);
    await paas.ok(['scale', 'web=3', '-a', 'alpha']);
    const rows = await paas.settled('alpha', { web: 3 });
    for (const { name } of rows) {
      const { stdout } = await paas.ok(['exec', name, '-a', 'alpha', '--', 'cat', 'mark.txt']);
      expect(stdout).toBe('alpha is whole\n');
    }
    await paas.ok(['destroy', 'alpha', '--yes']);
  });

  it("in the control plane's store is refused by the push that needs it, and sent again by the next", async () => {
    const cwd = source('beta');
    await paas.ok(['push', 'beta'], { cwd });
    expect(damage(serverStore(), 'beta is whole')).toBe(1);
    // What runs is not touched, and its host has what it needs.
    await paas.ok(['scale', 'web=2', '-a', 'beta']);
    expect(await look('beta')).toBe('beta is whole\n');
    await paas.ok(['destroy', 'beta', '--yes']);
    // A new host has to ask for it.
    await removeComputeHosts();
    const refused = await paas.cli(['push', 'gamma', '--json'], { cwd });
    expect(refused.code, refused.toString()).toBe(1);
    expect(refused.error).toMatchObject({ code: 'corrupt', hint: expect.stringMatching(/push .*again/i) });
    await paas.waitFor('the router to say so', async () => (await paas.get('gamma')).status === 503);
    const again = await paas.json<{ upload: { files: number } }>(['push', 'gamma'], { cwd });
    expect(again.upload.files).toBe(1);
    expect(await look('gamma')).toBe('beta is whole\n');
    await paas.settled('gamma', { web: 1 });
    await paas.ok(['destroy', 'gamma', '--yes']);
  });

  it('in both is mended by a push, which an app that waits for it then starts with', async () => {
    const cwd = source('delta');
    await paas.ok(['push', 'delta'], { cwd });
    expect(damage(serverStore(), 'delta is whole')).toBe(1);
    expect(damage(paas.hostRoot ?? '', 'delta is whole')).toBe(1);
    const scaled = await paas.cli(['scale', 'web=2', '-a', 'delta', '--json']);
    expect([scaled.code, scaled.error.code], scaled.toString()).toEqual([1, 'corrupt']);
    // The one that runs serves on.
    expect(await look('delta')).toBe('delta is whole\n');
    await paas.ok(['push', 'epsilon'], { cwd });
    expect(await look('epsilon')).toBe('delta is whole\n');
    // What cannot start is tried later and later.
    await paas.settled('delta', { web: 2 }, 100_000);
  });
});
