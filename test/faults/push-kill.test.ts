/** `kill -9` of the control plane at every step of a push: after each event that it records, and before the first. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EventRow, HostRow } from '../../src/shared/contracts/api.ts';
import { killNow, startPlatform, type Platform, type RunningCli } from '../support/platform.ts';

let paas: Platform;
beforeAll(async () => {
  paas = await startPlatform({ flags: ['--max-hosts', '4', '--host-memory', '600M'] });
});
afterAll(() => paas.remove());

/** A manifest with every step there is: a build, a release command, two process types. */
const manifest = (name: string): string => `name: ${name}
build: echo built > built.txt
release: echo released
processes:
  web: { command: node server.js, memory: 300M }
  worker: { command: "echo works; exec sleep 1000", memory: 300M }
`;

/** Pushes, and kills the server as soon as `steps` events are recorded. Answers the push and the kinds of events seen. */
async function pushAndKill(name: string, cwd: string, steps: number): Promise<{ push: RunningCli; seen: string[] }> {
  const events = paas.start(['events', '--all', '-t', '-n', '1', '--json']);
  await paas.waitFor('the events to flow', () => events.lines.length > 0);
  const from = events.lines.length;
  const push = paas.start(['push', '--json'], { cwd });
  let over = false;
  void push.exited.then(() => (over = true));
  const fresh = (): EventRow[] => events.lines.slice(from).map((line) => JSON.parse(line) as EventRow);
  await paas.waitFor(`${steps} events of the push of ${name}`, () => over || fresh().length >= steps);
  const seen = fresh().map(({ kind }) => kind);
  await killNow([paas.pid('servers')]);
  await events.interrupt();
  return { push, seen };
}

/** Every host of the platform is one of the cloud's and the other way round. */
async function hostsAgree(): Promise<void> {
  await paas.waitFor('platform and cloud to have the same hosts', async () => {
    const known = (await paas.json<HostRow[]>(['hosts'])).map(({ cloudId }) => cloudId).sort();
    const there = (await paas.cloudHosts()).map(({ id }) => String(id)).sort();
    return JSON.stringify(known) === JSON.stringify(there);
  });
}

describe('a kill of the control plane in the middle of a push', () => {
  const kinds = new Set<string>();

  it.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])(
    'after %i events loses nothing and makes nothing twice',
    async (steps) => {
      const name = `killed-${steps}`;
      const cwd = paas.source('probe', { 'paas.yml': manifest(name), 'unique.txt': name });
      const { push, seen } = await pushAndKill(name, cwd, steps);
      for (const kind of seen) kinds.add(kind);
      await paas.up();
      const told = await push.exited;
      // It went on by itself after the server was back, or says that it does not know.
      expect([0, 9, 10], told.toString()).toContain(told.code);
      const again = await paas.json<{ release: number }>(['push'], { cwd });
      expect(again.release).toBe(1);
      const rows = await paas.settled(name, { web: 1, worker: 1 });
      expect(rows.map((row) => row.name).sort()).toEqual(['web.1', 'worker.1']);
      expect((await paas.get(name)).text).toBe('version 1');
      expect((await paas.get(name, '/look?path=built.txt')).text).toBe('built\n');
      const said = (await paas.logs(name, '-n', 'all')).map(({ line }) => line);
      expect(said.filter((line) => line === 'released')).toHaveLength(1);
      expect(said.filter((line) => line === 'version 1 listens')).toHaveLength(1);
      expect(await paas.json(['releases', '-a', name])).toHaveLength(1);
      await paas.ok(['destroy', name, '--yes']);
      // So that the next push begins with a new host.
      const hosts = (await paas.json<HostRow[]>(['hosts'])).filter(({ roles }) => roles.includes('compute'));
      for (const host of hosts) await paas.ok(['hosts', 'remove', host.name, '--yes']);
      await paas.waitFor('the hosts to be gone', async () => {
        const left = (await paas.json<HostRow[]>(['hosts'])).map((host) => `${host.name} ${host.state}`);
        expect(left).toEqual([expect.stringContaining('ready')]);
        return true;
      });
      await hostsAgree();
    },
  );

  it('has been tried at every kind of step', () => {
    for (const kind of [
      'app.push',
      'host.created',
      'host.ready',
      'build.started',
      'instance.starting',
      'instance.healthy',
    ]) {
      expect([...kinds]).toContain(kind);
    }
  });
});

describe('a kill of the control plane in the middle of an upload', () => {
  it('goes on where it was when the server is back', async () => {
    const cwd = paas.source('probe', {
      'paas.yml': 'name: bulky\nprocesses: { web: { command: node server.js, memory: 300M } }\n',
    });
    // Random, so that no part is there already.
    for (let i = 0; i < 6; i++)
      writeFileSync(join(cwd, `bulk-${i}`), Buffer.from(Array.from({ length: 5_000_000 }, () => Math.random() * 256)));
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
