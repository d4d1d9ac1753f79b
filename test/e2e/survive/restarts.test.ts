/** What comes back after everything was ended, in good order or not. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { InstanceRow } from '../../../src/shared/contracts/api.ts';
import { killNow, startPlatform, type Platform } from '../../support/platform.ts';

let paas: Platform;
const counter = `
  const fs = require('node:fs');
  const file = process.env.HOME + '/count';
  let n = 0;
  try { n = Number(fs.readFileSync(file, 'utf8')); } catch {}
  console.log('begins at ' + n);
  setInterval(() => { fs.writeFileSync(file, String(n + 1)); console.log('number ' + n++); }, 20);`;

beforeAll(async () => {
  // As ~/.paas is: closed, so that hosts live elsewhere.
  paas = await startPlatform({ home: 'closed' });
  const cwd = paas.source('probe', {
    'paas.yml':
      'name: keeper\nprocesses:\n  web: { command: node server.js, instances: 2 }\nroutes: [keeper.example.com]\n',
  });
  await paas.ok(['push', '--config', 'COLOUR=red'], { cwd });
  writeFileSync(join(cwd, 'VERSION'), '2');
  await paas.ok(['push'], { cwd });
  await paas.ok(['config', 'set', 'COLOUR=blue', '-a', 'keeper']);
  await paas.ok(['scale', 'web=3', '-a', 'keeper']);
  await paas.ok(['push', 'resting'], { cwd: paas.source('probe') });
  await paas.ok(['stop', '-a', 'resting']);
  await paas.ok(['push', 'counter'], {
    cwd: paas.directory({ Procfile: 'worker: node count.js\n', 'count.js': counter }),
  });
}, 240_000);
afterAll(() => paas.remove());

const state = async (): Promise<unknown> => ({
  apps: await paas.json(['apps']),
  formation: await paas.json(['scale', '-a', 'keeper']),
  config: await paas.json(['config', '-a', 'keeper']),
  releases: await paas.json(['releases', '-a', 'keeper']),
  routes: await paas.json(['routes', '-a', 'keeper']),
  hosts: (await paas.json<{ name: string; cloudId: string; address: string }[]>(['hosts'])).map(
    ({ name, cloudId, address }) => ({ name, cloudId, address }),
  ),
});

async function allIsWell(before: unknown): Promise<InstanceRow[]> {
  const rows = await paas.settled('keeper', { web: 3 }, 40_000);
  await paas.settled('counter', { worker: 1 }, 40_000);
  expect(await state()).toEqual(before);
  expect((await paas.serves('keeper', 'version 2')).status).toBe(200);
  await paas.serves('keeper.example.com', 'version 2');
  expect((await paas.get('keeper', '/env?name=COLOUR')).text).toBe('blue');
  expect((await paas.get('resting')).status).toBe(503);
  expect(await paas.ps('resting')).toEqual([]);
  return rows;
}

/** The numbers that the counter printed, as the logs have them, by its starts. */
async function counted(): Promise<number[][]> {
  const starts: number[][] = [];
  for (const { line, gap } of await paas.logs('counter', '--source', 'app', '-n', 'all')) {
    expect(gap).toBeUndefined();
    if (line.startsWith('begins at ')) starts.push([]);
    else if (line.startsWith('number ')) starts.at(-1)?.push(Number(line.slice(7)));
  }
  for (const numbers of starts) {
    // Each once, in order, none missing.
    expect(numbers.find((number, i) => number !== (numbers[0] ?? 0) + i)).toBeUndefined();
  }
  return starts;
}
const countedLast = async (): Promise<number> => (await counted()).at(-1)?.length ?? 0;

describe('paas up and down', () => {
  it('is told twice as well as once', async () => {
    const before = paas.processes();
    expect((await paas.ok(['up'])).stdout).toContain(paas.url);
    expect(paas.processes()).toMatchObject({ servers: before.servers, clouds: before.clouds, agents: before.agents });
    const all = await state();
    await paas.ok(['down']);
    expect(paas.processes()).toEqual({ servers: [], clouds: [], agents: [], routers: [], others: [] });
    await paas.ok(['down']);
    const away = await paas.cli(['apps', '--json']);
    expect([away.code, away.error.code]).toEqual([10, 'unavailable']);
    expect(away.error.hint).toContain('paas up');
    await paas.up();
    await allIsWell(all);
  });

  it('may follow each other quickly: no app is taken for one that keeps crashing', async () => {
    const delayed = new Set<string>();
    for (let i = 0; i < 5; i++) {
      const before = new Set((await paas.ps('keeper')).map(({ startedAt }) => startedAt));
      await paas.ok(['down']);
      await paas.up();
      await paas.serves('keeper', 'version 2');
      await paas.waitFor('all to be started again', async () => {
        const rows = await paas.ps('keeper');
        // One that keeps crashing is seen so, as it has to wait for seconds.
        for (const { message } of rows) if (message?.includes('next start')) delayed.add(message);
        return rows.every(({ state, startedAt }) => state === 'healthy' && !before.has(startedAt));
      });
    }
    expect([...delayed]).toEqual([]);
    await paas.settled('keeper', { web: 3 });
    await paas.settled('counter', { worker: 1 });
  });

  it('brings everything back after a `kill -9` of everything', async () => {
    const before = await state();
    await paas.killEverything();
    await expect(paas.get('keeper')).rejects.toThrow();
    await paas.up();
    await allIsWell(before);
    await paas.waitFor('the counter to go on', async () => (await countedLast()) > 10);
  });
});

describe('while the control plane is away', () => {
  it('apps are served and restarted, and what they say meanwhile arrives later, each line once', async () => {
    const restarts = (of: readonly InstanceRow[]): number => of.reduce((sum, row) => sum + row.restarts, 0);
    const before = await paas.ps('keeper');
    const counting = await paas.ps('counter');
    const at = await countedLast();
    await killNow([paas.pid('servers')]);
    const load = paas.load('keeper');
    expect((await paas.get('keeper')).text).toBe('version 2');
    // One is started again by its agent alone.
    await paas.get('keeper', '/crash');
    // The one that crashes may still have taken the request.
    let said = '';
    let tries = 0;
    await paas.waitFor('an instance that prints', async () => {
      said = `said meanwhile ${++tries}`;
      return (await paas.get('keeper', `/print?text=${encodeURIComponent(said)}`)).status === 200;
    });
    const { count } = load;
    await paas.waitFor('60 requests meanwhile', () => load.count > count + 60);
    const crashed = load.failures.length;
    await paas.up();
    await paas.waitFor(
      'the line that was said meanwhile',
      async () => (await paas.logs('keeper', '--grep', `${said}$`)).length === 1,
    );
    // Another host's agent may have told its part before the one whose instance crashed.
    const rows = await paas.waitFor('the restart to be known', async () => {
      const now = await paas.settled('keeper', { web: 3 });
      return restarts(now) > restarts(before) && now;
    });
    const { failures } = await load.stop();
    // Requests that were on the crashed instance may fail (many, where all stood still before); the router tries none
    // twice that was sent.
    expect(failures.slice(crashed)).toEqual([]);
    expect(crashed).toBeLessThan(load.count / 3);
    expect(rows.map(({ id }) => id).sort()).toEqual(before.map(({ id }) => id).sort());
    expect(restarts(rows)).toBe(restarts(before) + 1);
    const after = await paas.ps('counter');
    expect(after.map(({ id, startedAt }) => [id, startedAt])).toEqual(
      counting.map(({ id, startedAt }) => [id, startedAt]),
    );
    await paas.waitFor('newer numbers', async () => (await countedLast()) > at + 50);
  });

  it('a restart of the control plane in good order interrupts nothing', async () => {
    const load = paas.load('keeper');
    await killNow([paas.pid('servers')], 'SIGTERM');
    await paas.up();
    await paas.settled('keeper', { web: 3 });
    expect((await load.stop()).failures).toEqual([]);
  });
});
