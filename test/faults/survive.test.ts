/** What stays when the platform is stopped, killed whole, or left without its control plane. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { killNow, startPlatform, type Platform } from '../support/platform.ts';

let paas: Platform;
const counter = 'let n = 0; setInterval(() => console.log("number " + n++), 5);';
beforeAll(async () => {
  paas = await startPlatform({ flags: ['--max-hosts', '2', '--host-memory', '1G'] });
  await paas.ok(['push', 'steady', '-m', '100M'], { cwd: paas.source('probe') });
  await paas.ok(['config', 'set', 'COLOUR=red', '-a', 'steady']);
  await paas.ok(['scale', 'web=2', '-a', 'steady']);
  await paas.ok(['routes', 'add', 'steady.example.com/api', '-a', 'steady']);
  await paas.ok(['push', 'counter', '-m', '100M'], {
    cwd: paas.directory({ Procfile: 'worker: node count.js\n', 'count.js': counter }),
  });
});
afterAll(() => paas.remove());

/** All that people have decided about an app. */
async function decided(): Promise<unknown> {
  const on = (...words: string[]): Promise<unknown> => paas.json([...words, '-a', 'steady']);
  return {
    config: await on('config', '--reveal'),
    releases: await on('releases'),
    routes: await on('routes'),
    formation: await on('scale'),
  };
}

async function asBefore(before: unknown): Promise<void> {
  await paas.serves('steady', 'version 1');
  await paas.settled('steady', { web: 2 }, 60_000);
  await paas.settled('counter', { worker: 1 }, 60_000);
  expect(await decided()).toEqual(before);
}

describe('every app is back as it was', () => {
  it('after `paas down` and `paas up`', async () => {
    const before = await decided();
    await paas.ok(['down']);
    await paas.up();
    await asBefore(before);
  });

  it('after a kill -9 of everything and `paas up`', async () => {
    const before = await decided();
    await paas.killEverything();
    await paas.up();
    await asBefore(before);
  });
});

describe('without a control plane', () => {
  it('the router serves, a crashed instance is started again, and no line is lost or doubled', async () => {
    const load = paas.load('steady');
    const since = (await paas.ps('counter'))[0]?.startedAt ?? '';
    await killNow([paas.pid('servers')]);
    const [first] = paas.processes().others.filter(({ command }) => command.includes('count.js'));
    if (first) await killNow([first.pid]);
    expect((await paas.get('steady')).status).toBe(200);
    await paas.up();
    await paas.waitFor('the counter to have begun again', async () => {
      const [row] = await paas.ps('counter');
      return row?.state === 'healthy' && (row.startedAt !== since || !first);
    });
    expect((await load.stop()).failures).toEqual([]);
    const lines = await paas.logs('counter', '--source', 'app', '-n', 'all');
    const numbers = lines.filter(({ line }) => line.startsWith('number ')).map(({ line }) => Number(line.slice(7)));
    // Each run of the counter begins at 0 and leaves nothing out.
    expect(numbers.findIndex((number, i) => i > 0 && number !== 0 && number !== (numbers[i - 1] ?? 0) + 1)).toBe(-1);
  });
});
