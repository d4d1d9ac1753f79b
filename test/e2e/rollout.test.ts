/** Scaling, restarting, and rollouts that are steered, superseded or left alone. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RolloutView } from '../../src/shared/contracts/api.ts';
import { startPlatform, type Platform } from '../support/platform.ts';

let paas: Platform;
beforeAll(async () => {
  paas = await startPlatform();
});
afterAll(() => paas.remove());

const yaml = (name: string, web: string): string => `name: ${name}\nprocesses:\n  web: { ${web} }\n`;
/** Healthy only when the file `go` of the app's source says so, or never: a rollout that waits as long as a test likes. */
const slow = { health: 'health: { type: http, path: /health, timeout: 10m }' };
const formation = async (app: string): Promise<Record<string, number>> =>
  Object.fromEntries(
    Object.entries(await paas.json<Record<string, { instances: number }>>(['scale', '-a', app])).map(
      ([type, { instances }]) => [type, instances],
    ),
  );
const rollout = async (app: string): Promise<RolloutView | null> =>
  (await paas.json<{ rollout: RolloutView | null }>(['rollout', 'status', '-a', app])).rollout;

/** A new version whose /health is never found: it starts, and does not become healthy. */
function makeStuck(cwd: string, version: string): void {
  writeFileSync(join(cwd, 'VERSION'), version);
  writeFileSync(join(cwd, 'paas.yml'), yaml(appOf(cwd), `command: node server.js, ${slow.health}`));
}
const names = new Map<string, string>();
const appOf = (cwd: string): string => names.get(cwd) ?? '';

async function pushed(name: string, flags: string[] = []): Promise<string> {
  const cwd = paas.source('probe', { 'paas.yml': yaml(name, 'command: node server.js') });
  names.set(cwd, name);
  await paas.ok(['push', ...flags], { cwd });
  return cwd;
}

describe('paas scale', () => {
  it('goes up and down, absolute and relative, without a new release or a failed request', async () => {
    await pushed('elastic');
    const load = paas.load('elastic');
    const first = await paas.ps('elastic');
    await paas.ok(['scale', 'web=3', '-a', 'elastic']);
    const three = await paas.settled('elastic', { web: 3 });
    expect(three.map(({ name }) => name).sort()).toEqual(['web.1', 'web.2', 'web.3']);
    expect(three.map(({ id }) => id)).toContain(first[0]?.id);
    await paas.ok(['scale', 'web+1', '-a', 'elastic']);
    expect(await formation('elastic')).toEqual({ web: 4 });
    await paas.ok(['scale', 'web=1', '-a', 'elastic']);
    await paas.settled('elastic', { web: 1 });
    expect((await load.stop()).failures).toEqual([]);
    expect((await paas.app('elastic'))?.release).toBe(1);
    expect(await paas.json(['scale', 'web=1', '-a', 'elastic'])).toMatchObject({ changed: false });
  });

  it('prints a formation that it takes back, also with sizes', async () => {
    await pushed('sized');
    await paas.ok(['scale', 'web=2', '--memory', 'web=200M', '--cpu', 'web=0.5', '-a', 'sized']);
    const rows = await paas.settled('sized', { web: 2 });
    expect(rows.map(({ memoryLimit }) => memoryLimit)).toEqual([200, 200]);
    const printed = (await paas.ok(['scale', '-a', 'sized'])).stdout.trim();
    expect(printed).toBe('web=2 --memory web=200M --cpu web=0.5');
    const before = await paas.ps('sized');
    await paas.ok(['scale', ...printed.split(' '), '-a', 'sized']);
    expect((await paas.ps('sized')).map(({ id }) => id).sort()).toEqual(before.map(({ id }) => id).sort());
    expect((await paas.get('sized', '/env?name=MEMORY_LIMIT')).text).toBe('200m');
  });

  it('takes an app to nothing, which answers 503, and back', async () => {
    await pushed('asleep');
    await paas.ok(['scale', 'web=0', '-a', 'asleep']);
    expect(await paas.ps('asleep')).toEqual([]);
    const answer = await paas.get('asleep', '/', { headers: { accept: 'application/json' } });
    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.text)).toHaveProperty('error');
    await paas.ok(['scale', 'web=1', '-a', 'asleep']);
    expect((await paas.get('asleep')).text).toBe('version 1');
  });

  it('is not undone by a push of the same manifest, but by one that changes the number', async () => {
    const cwd = paas.source('probe', { 'paas.yml': yaml('held', 'command: node server.js, instances: 1') });
    await paas.ok(['push'], { cwd });
    await paas.ok(['scale', 'web=2', '-a', 'held']);
    writeFileSync(join(cwd, 'VERSION'), '2');
    await paas.ok(['push'], { cwd });
    await paas.settled('held', { web: 2 });
    writeFileSync(join(cwd, 'paas.yml'), yaml('held', 'command: node server.js, instances: 3'));
    const plan = await paas.json<{ plan: unknown[] }>(['push', '--dry-run'], { cwd });
    expect(plan.plan).toContainEqual({ action: 'scale', target: 'web', from: '2', to: '3' });
    await paas.ok(['push'], { cwd });
    await paas.settled('held', { web: 3 });
  });

  it('refuses what makes no sense', async () => {
    const code = async (...args: string[]): Promise<number> => (await paas.cli(['scale', ...args, '-a', 'held'])).code;
    expect(await code('nosuch=2')).toBe(5);
    expect(await code('web=-1')).toBe(2);
    expect(await code('web-9')).toBe(2);
    expect(await code('--memory', 'web=99G')).toBe(7);
    expect(await formation('held')).toEqual({ web: 3 });
  });
});

describe('a rollout under way', () => {
  it('is shown, can be paused, scaled, continued and cancelled', async () => {
    const cwd = await pushed('steered', ['-i', '2']);
    makeStuck(cwd, '2');
    const begun = await paas.json(['push', '--no-wait'], { cwd });
    expect(begun).toMatchObject({ release: null, rollout: null });
    const seen = await paas.waitFor('the rollout', async () => {
      const view = await rollout('steered');
      return view?.to === 2 && view.waitsFor !== '' && view;
    });
    expect(seen).toMatchObject({ state: 'running', from: 1, to: 2, strategy: 'rolling' });
    expect(seen.waitsFor).toMatch(/web: 0 of 2 healthy/);
    await paas.ok(['rollout', 'pause', '-a', 'steered']);
    expect((await rollout('steered'))?.state).toBe('paused');
    await paas.ok(['rollout', 'continue', '-a', 'steered']);
    expect((await rollout('steered'))?.state).toBe('running');
    await paas.ok(['scale', 'web=3', '-a', 'steered', '--no-wait']);
    expect(await formation('steered')).toEqual({ web: 3 });
    expect((await paas.get('steered')).text).toBe('version 1');
    await paas.ok(['rollout', 'cancel', '-a', 'steered']);
    const rows = await paas.settled('steered', { web: 3 });
    expect(new Set(rows.map(({ release }) => release))).toEqual(new Set([1]));
    await paas.waitFor('the way back to end', async () => (await rollout('steered'))?.state === 'cancelled');
    const none = await paas.cli(['rollout', 'cancel', '-a', 'steered', '--json']);
    expect(none.code).toBe(6);
  });

  it('goes on when whoever watches it is interrupted, which exits 130 and says so', async () => {
    const cwd = await pushed('unwatched');
    makeStuck(cwd, '2');
    const watching = paas.start(['push'], { cwd });
    await paas.waitFor('the push to roll out', () => watching.stderr.includes('starting'));
    const { code, stderr } = await watching.interrupt();
    expect(code).toBe(130);
    expect(stderr).toMatch(/goes on/);
    expect(stderr).toContain('paas rollout status');
    expect((await rollout('unwatched'))?.state).toBe('running');
    await paas.ok(['rollout', 'cancel', '-a', 'unwatched']);
  });

  it('goes on after --timeout, which exits 9 and says so', async () => {
    const cwd = await pushed('impatient');
    makeStuck(cwd, '2');
    const { code, error } = await paas.cli(['push', '--timeout', '2s', '--json'], { cwd });
    expect(code).toBe(9);
    expect(error.code).toBe('timeout');
    expect(error.hint).toContain('paas rollout cancel');
    // It may have waited for less than the rollout.
    await paas.waitFor('the rollout', async () => {
      const view = await rollout('impatient');
      return view?.to === 2 && view.state === 'running';
    });
    await paas.ok(['rollout', 'cancel', '-a', 'impatient']);
  });

  it('is superseded by the next push; the first is told so', async () => {
    const cwd = await pushed('superseded');
    makeStuck(cwd, '2');
    const first = paas.start(['push', '--json'], { cwd });
    await paas.waitFor('the first push to roll out', () => first.stderr.includes('starting'));
    writeFileSync(join(cwd, 'VERSION'), '3');
    writeFileSync(join(cwd, 'paas.yml'), yaml('superseded', 'command: node server.js'));
    await paas.ok(['push'], { cwd });
    const told = await first.exited;
    expect(told.code).toBe(6);
    expect(told.error.message).toContain('superseded');
    expect((await paas.get('superseded')).text).toBe('version 3');
    await paas.settled('superseded', { web: 1 });
  });

  it('is waited for by a push that says so', async () => {
    const cwd = await pushed('queued');
    makeStuck(cwd, '2');
    const first = paas.start(['push', '--json'], { cwd });
    await paas.waitFor('the first push to roll out', () => first.stderr.includes('starting'));
    writeFileSync(join(cwd, 'VERSION'), '3');
    writeFileSync(join(cwd, 'paas.yml'), yaml('queued', 'command: node server.js'));
    const second = paas.start(['push', '--concurrent', 'wait', '--json'], { cwd });
    await paas.waitFor('the second to wait', () => second.stderr.includes('Waiting for the deployment before'));
    expect((await paas.get('queued')).text).toBe('version 1');
    await paas.ok(['rollout', 'cancel', '-a', 'queued']);
    expect((await first.exited).code).toBe(6);
    expect((await second.exited).code).toBe(0);
    expect((await paas.get('queued')).text).toBe('version 3');
  });
});

describe('restart, stop and start', () => {
  it('restarts all instances, one type or one instance, without a failed request', async () => {
    await pushed('fresh', ['-i', '2']);
    const starts = async (): Promise<Map<string, string | null>> => {
      const rows = await paas.settled('fresh', { web: 2 });
      const answered = new Set<string>();
      await paas.waitFor('both to answer', async () => {
        answered.add((await paas.get('fresh', '/pid')).text.split(' ')[1] ?? '');
        return rows.every(({ name }) => answered.has(name));
      });
      return new Map(rows.map(({ name, startedAt }) => [name, startedAt]));
    };
    const before = await starts();
    const load = paas.load('fresh');
    await paas.ok(['restart', 'web.2', '-a', 'fresh']);
    const after = await starts();
    expect(after.get('web.1')).toBe(before.get('web.1'));
    expect(after.get('web.2')).not.toBe(before.get('web.2'));
    await paas.ok(['restart', '-a', 'fresh']);
    const last = await starts();
    expect(last.get('web.1')).not.toBe(before.get('web.1'));
    expect((await load.stop()).failures).toEqual([]);
    expect((await paas.app('fresh'))?.release).toBe(1);
    expect((await paas.cli(['restart', 'web.7', '-a', 'fresh'])).code).toBe(5);
  });

  it('stops everything and starts it again with the same formation', async () => {
    await pushed('halted', ['-i', '2']);
    await paas.ok(['stop', '-a', 'halted']);
    expect(await paas.ps('halted')).toEqual([]);
    expect(await paas.app('halted')).toMatchObject({ state: 'stopped' });
    const answer = await paas.get('halted');
    expect(answer.status).toBe(503);
    expect(answer.text).toContain('stopped');
    expect(await paas.json(['stop', '-a', 'halted'])).toMatchObject({ changed: false });
    await paas.ok(['start', '-a', 'halted']);
    await paas.settled('halted', { web: 2 });
    expect((await paas.get('halted')).text).toBe('version 1');
  });

  it('recreates instead of rolling when asked to', async () => {
    const cwd = await pushed('recreated', ['-i', '2']);
    writeFileSync(join(cwd, 'VERSION'), '2');
    await paas.ok(['push', '--strategy', 'recreate'], { cwd });
    await paas.settled('recreated', { web: 2 });
    expect((await paas.get('recreated')).text).toBe('version 2');
    expect((await rollout('recreated'))?.strategy).toBe('recreate');
  });
});
