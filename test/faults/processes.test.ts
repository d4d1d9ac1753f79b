/** `kill -9` of the platform's other programs, and the loss of a whole host. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostRow, InstanceRow } from '../../src/shared/contracts/api.ts';
import { killNow, startPlatform, type Platform } from '../support/platform.ts';

let paas: Platform;
const counter = 'let n = 0; setInterval(() => console.log("number " + n++), 5);';
beforeAll(async () => {
  paas = await startPlatform({ flags: ['--max-hosts', '3', '--host-memory', '1G'] });
  await paas.ok(['push', 'steady', '-i', '2', '-m', '300M'], { cwd: paas.source('probe') });
  await paas.ok(['push', 'counter', '-m', '100M'], {
    cwd: paas.directory({ Procfile: 'worker: node count.js\n', 'count.js': counter }),
  });
});
afterAll(() => paas.remove());

const hosts = (): Promise<HostRow[]> => paas.json<HostRow[]>(['hosts']);
const identity = (rows: readonly InstanceRow[]): unknown =>
  rows.map(({ id, startedAt, restarts }) => [id, startedAt, restarts]).sort();

/** What the counter has said, which must be every number from 0 on, once. */
async function counted(): Promise<number> {
  const lines = await paas.logs('counter', '--source', 'app', '-n', 'all');
  const numbers = lines.map(({ line }) => Number(line.slice(7)));
  expect(numbers.findIndex((number, i) => number !== i)).toBe(-1);
  return numbers.length;
}

describe('kill -9', () => {
  it('of an agent: no instance is restarted, no line lost or doubled, and status is right again', async () => {
    const before = [await paas.ps('steady'), await paas.ps('counter')];
    const load = paas.load('steady');
    const at = await counted();
    const agents = paas.processes().agents.map(({ pid }) => pid);
    await killNow(agents);
    await paas.waitFor('other agents', () => {
      const now = paas.processes().agents.map(({ pid }) => pid);
      return now.length === agents.length && !now.some((pid) => agents.includes(pid));
    });
    await paas.waitFor('newer numbers', async () => (await counted()) > at + 400);
    await paas.waitFor('all hosts to be ready', async () => (await hosts()).every(({ state }) => state === 'ready'));
    expect(identity(await paas.ps('steady'))).toEqual(identity(before[0] ?? []));
    expect(identity(await paas.ps('counter'))).toEqual(identity(before[1] ?? []));
    expect((await load.stop()).failures).toEqual([]);
    // And it obeys.
    await paas.ok(['scale', 'web=3', '-a', 'steady']);
    await paas.ok(['scale', 'web=2', '-a', 'steady']);
  });

  it('of the router process: it is back by itself, with the same routes', async () => {
    const router = paas.pid('routers');
    await killNow([router]);
    await paas.serves('steady', 'version 1');
    await paas.waitFor('one other router', () => paas.pid('routers') !== router);
  });

  it('of the embedded cloud: nothing of an app is touched, and `paas up` brings it back', async () => {
    const before = await paas.ps('steady');
    const load = paas.load('steady');
    await killNow([paas.pid('clouds')]);
    await paas.up();
    expect((await paas.cloudHosts()).length).toBe((await hosts()).length);
    expect(identity(await paas.ps('steady'))).toEqual(identity(before));
    await paas.ok(['hosts', 'create']);
    await paas.waitFor(
      'a new host',
      async () => (await hosts()).filter(({ state }) => state === 'ready').length === (await hosts()).length,
    );
    expect((await load.stop()).failures).toEqual([]);
  });

  it('of the agent and its instances at once: they are started again', async () => {
    const before = await paas.ps('counter');
    const { agents, others } = paas.processes();
    await killNow([...agents, ...others].map(({ pid }) => pid));
    await paas.serves('steady', 'version 1');
    await paas.settled('steady', { web: 2 }, 60_000);
    const rows = await paas.settled('counter', { worker: 1 }, 60_000);
    expect(rows.map(({ id }) => id)).toEqual(before.map(({ id }) => id));
  });
});

describe('the loss of a host', () => {
  it('is noticed within 10 s; its instances are placed elsewhere and it is replaced, once', async () => {
    await paas.settled('steady', { web: 2 });
    const names = (await hosts()).map(({ name }) => name);
    const rows = await paas.ps('steady');
    const lost = (await hosts()).find(({ name }) => name === rows[0]?.host);
    await paas.cloud('POST', `/cloud_servers/${lost?.cloudId}/kill`);
    await paas.waitFor('its loss to be noticed', async () => {
      const row = (await hosts()).find(({ name }) => name === lost?.name);
      return row === undefined || !['ready', 'unreachable'].includes(row.state);
    });
    const moved = await paas.waitFor(
      'its instances to be replaced',
      async () => {
        const now = (await paas.ps('steady')).filter(({ state, host }) => state === 'healthy' && host !== lost?.name);
        return now.length === 2 && now;
      },
      60_000,
    );
    expect(moved.map(({ host }) => host)).not.toContain(lost?.name);
    await paas.waitFor(
      'a replacement to be ready, and the dead one gone',
      async () => {
        const now = await hosts();
        return (
          now.length === names.length &&
          !now.some(({ name }) => name === lost?.name) &&
          now.every(({ state }) => state === 'ready')
        );
      },
      60_000,
    );
    await paas.waitFor('the cloud to have as many', async () => (await paas.cloudHosts()).length === names.length);
    await paas.settled('steady', { web: 2 });
    // A host that is ready may still be starting its router.
    await paas.serves('steady', 'version 1');
    const events = await paas.ok(['events', '--all', '-n', '200']);
    expect(events.stdout).toContain(`${lost?.name}`);
    // Its last words are still there.
    expect((await paas.logs('steady', '--grep', 'listens')).length).toBeGreaterThan(0);
  });

  it('that carries the router is survived too', async () => {
    const router = (await hosts()).find(({ roles }) => roles.includes('router'));
    await paas.cloud('POST', `/cloud_servers/${router?.cloudId}/kill`);
    await paas.waitFor(
      'another router host',
      async () => {
        const found = (await hosts()).filter(({ roles, state }) => roles.includes('router') && state === 'ready');
        return found.length === 1 && found[0]?.name !== router?.name;
      },
      60_000,
    );
    await paas.serves('steady', 'version 1', '/', 60_000);
  });
});
