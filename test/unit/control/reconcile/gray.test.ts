/** Gray rules through what happens to an app: nobody whom a rule pins to a release may lose it. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { GrayTestAnswer, GrayView } from '../../../../src/shared/contracts/api.ts';
import type { Backend } from '../../../../src/shared/contracts/routes.ts';
import { GrayRelease } from '../../../../src/router/embedded/http/selection.ts';
import { appUrl, TestApi } from '../../../support/api.ts';
import * as life from '../../../support/app-life.ts';
import { addHost, addRouter, makeControl, type TestControl } from '../../../support/control.ts';

let control: TestControl;
let world: life.Life;
let api: TestApi;
let appId: string;
beforeEach(async () => {
  control = await makeControl();
  await addHost(control, 'h1', { memory_mb: 16_384 });
  world = { control, router: await addRouter(control) };
  api = await TestApi.of(control);
  ({ app_id: appId } = await life.pushApp(world, push('one')));
});
afterEach(async () => {
  await control.close();
});

const push = (text: string, more: object = {}) => ({
  files: life.plainApp(text),
  spec: {
    processes: { web: { kind: 'web', command: './run', instances: 3 }, jobs: { kind: 'worker', command: './run' } },
    ...{ config: { TEXT: text }, routes: ['shop.localhost'] },
  },
  ...more,
});
const call = async (
  method: Parameters<TestApi['call']>[0],
  path: string,
  body: unknown = {},
): Promise<Record<string, unknown>> => {
  const answer = await api.call(method, appUrl + path, method === 'GET' ? {} : { body });
  expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
  return answer.body;
};
const pin = (release: number, more: object = {}) =>
  call('POST', '/gray', { release, match: 'cookie:legacy=1', ...more }) as unknown as Promise<GrayView>;
const view = () => call('GET', '/gray') as unknown as Promise<GrayView>;
const ask = (cookie = 'legacy=1', ip = '192.0.2.1') =>
  call('POST', '/gray/test', { headers: { cookie }, ip }) as unknown as Promise<GrayTestAnswer>;
const running = async (type = 'web') =>
  (await life.instancesOf(control, appId)).filter((line) => line.startsWith(type) && line.endsWith('run healthy'));
const of = async (release: number) => (await running()).filter((line) => line.includes(` v${release} `)).length;

/** Releases that a request may get by the table as it is. */
function gets(cookie: string, ip = '192.0.2.1'): number[] {
  const backend: Backend = control.routing.table.backends[`${appId}/web`]!;
  const live = backend.endpoints as unknown as ConstructorParameters<typeof GrayRelease>[2];
  const key = Buffer.from(control.routing.table.stickyKey ?? '', 'base64url');
  const gray = backend.gray && new GrayRelease(appId, backend.gray, live, key);
  const { endpoints } = gray?.select(`cookie: ${cookie}\r\n`, ip) ?? backend;
  return [...new Set(endpoints.map(({ release }) => release))].sort();
}

/** Rounds until a deployment has ended, and nothing leaves any more. Who is pinned gets `pinned` at every moment. */
async function through(id: string, pinned: number): Promise<string> {
  for (let i = 0; i < 60; i++) {
    const { finished_at: end, state } = await life.deploymentOf(control, id);
    const lines = await life.instancesOf(control, appId);
    if (end !== null && lines.every((line) => line.endsWith('run healthy'))) return state;
    await life.round(world, appId);
    expect(gets('legacy=1'), lines.join('; ')).toEqual([pinned]);
    expect(gets('a=b').length).toBeGreaterThan(0);
  }
  throw new Error((await life.instancesOf(control, appId)).join('; '));
}
const pushed = async (text: string, pinned: number, more: object = {}): Promise<string> => {
  const { id } = await life.beginPush(control, push(text, more));
  return through(id, pinned);
};

describe('clients that a rule pins to the release in force', () => {
  it.each(['rolling', 'canary', 'recreate'])('keep it through a %s push, at every moment of it', async (strategy) => {
    await pin(1);
    expect((await view()).releases).toEqual({});
    const how = strategy === 'canary' ? { steps: [50, 100], stepWaitMs: 0 } : {};
    expect(await pushed('two', 1, { strategy, ...how })).toBe('succeeded');
    expect(await of(1)).toBe(1);
    expect(await of(2)).toBe(3);
    expect((await running('jobs')).map((line) => line.split(' ')[1])).toEqual(['v2']);
    expect(gets('a=b')).toEqual([2]);
    expect(await view()).toMatchObject({ stable: 2, releases: { 1: { web: 1 } } });
    expect(await ask()).toMatchObject({ release: 1, why: 'rule 1 (cookie:legacy=1) leads to v1' });
  });

  it('get instances that ran already, as many as the rule asked for', async () => {
    const before = await control.store.db.selectFrom('instances').select('id').execute();
    await pin(1, { instances: 2 });
    await pushed('two', 1);
    const left = await control.store.db
      .selectFrom('instances')
      .select('id')
      .where('release', '=', 1)
      .where('ended_at', 'is', null)
      .execute();
    expect(left).toHaveLength(2);
    for (const { id } of left) expect(before.map((row) => row.id)).toContain(id);
  });

  it('keep it through further pushes, a rollback and a scale of the release in force', async () => {
    await pin(1);
    await pushed('two', 1);
    await pushed('three', 1);
    const back = await call('POST', '/rollback', {});
    expect(await through((back['deployment'] as { id: string }).id, 1)).toBe('succeeded');
    const scaled = await call('PATCH', '/formation', { processes: { web: { instances: 2 } } });
    await through((scaled['deployment'] as { id: string }).id, 1);
    expect([await of(1), await of(4)]).toEqual([1, 2]);
    const more = await call('PATCH', '/formation', { release: 1, processes: { web: { instances: 2 } } });
    await through((more['deployment'] as { id: string }).id, 1);
    expect(await of(1)).toBe(2);
  });

  it('keep it when the push is cancelled or fails: exactly what was runs', async () => {
    await pin(1);
    const before = await view();
    const { id } = await life.beginPush(control, push('two'));
    await life.live(world, appId, async () => (await of(2)) > 0);
    await call('POST', '/rollout/cancel');
    expect(await through(id, 1)).toBe('cancelled');
    expect([await of(1), await of(2)]).toEqual([3, 0]);
    world = { ...world, behave: (row) => (row.release === 3 ? life.crashed(row) : life.healthy(row)) };
    expect(await pushed('three', 1)).toBe('failed');
    expect(await of(1)).toBe(3);
    expect(await view()).toEqual(before);
  });

  it('keep it when a stopped app gets another release', async () => {
    await pin(1);
    await call('POST', '/stop');
    await life.live(world, appId, async () => (await life.instancesOf(control, appId)).length === 0);
    await call('PATCH', '/config', { set: { MORE: '1' }, unset: [] });
    const { deployment } = await call('POST', '/start');
    const { id } = deployment as { id: string };
    await life.finished(world, id);
    await life.live(world, appId, () => Promise.resolve(gets('legacy=1')[0] === 1));
    expect(gets('a=b')).toEqual([2]);
  });

  it('lose it with the rule: in the midst of a push, and after it', async () => {
    const [rule] = (await pin(1)).rules;
    const { id } = await life.beginPush(control, push('two'));
    await life.live(world, appId, async () => (await of(2)) > 0);
    await call('DELETE', `/gray/${rule!.id}`);
    expect((await life.finished(world, id)).state).toBe('succeeded');
    expect(await of(1)).toBe(0);
    const [another] = (await pin(2)).rules;
    await pushed('three', 2);
    await call('DELETE', `/gray/${another!.id}`);
    await life.live(world, appId, async () => (await running()).every((line) => line.includes(' v3 ')));
  });

  it('are told that it has no healthy instance, when it has none', async () => {
    await pin(1);
    await pushed('two', 1);
    world = { ...world, behave: (row) => (row.release === 1 ? life.crashed(row, 0) : life.healthy(row)) };
    await life.live(world, appId, () => Promise.resolve(gets('legacy=1')[0] === 2));
    expect(await ask()).toMatchObject({ release: 2, why: expect.stringMatching(/v1, which has no healthy instance/) });
  });
});

describe('a rollout beside gray rules', () => {
  it('is told of: who gets the new release of a canary, and why', async () => {
    await life.beginPush(control, push('two', { strategy: 'canary', steps: [50, 100], manual: true }));
    await life.live(world, appId, async () => (await view()).rollout?.percent === 50);
    await life.round(world, appId);
    const answers = new Map<number, string>();
    for (let n = 0; n < 40; n++) {
      const ip = `198.51.100.${n}`;
      const { release, rule, why } = await ask('a=b', ip);
      expect(rule).toBeNull();
      expect([release]).toEqual(gets('a=b', ip));
      answers.set(release!, why);
    }
    expect(answers.get(2)).toMatch(/50 % of the clients get v2.*: this is one/);
    expect(answers.get(1)).toMatch(/v1 is the stable release; 50 %.*: this is none/);
  });

  it('is told of while new and old serve side by side', async () => {
    await life.beginPush(control, push('two'));
    await life.live(world, appId, async () => (await of(2)) > 0);
    expect((await view()).rollout).toEqual({ release: 2, percent: null });
    expect((await ask('a=b')).why).toMatch(/v2 is being rolled out/);
  });

  it('gives a canary its share of the clients who come to it', async () => {
    const { id } = await life.beginPush(control, push('two'));
    await life.finished(world, id);
    await call('POST', '/gray', { release: 1, match: 'percent:10' });
    await life.beginPush(control, push('three', { strategy: 'canary', steps: [5, 100], manual: true }));
    await life.live(world, appId, async () => (await view()).rollout?.percent === 5);
    await life.live(world, appId, () => Promise.resolve(gets('a=b').length === 1));
    await life.round(world, appId);
    const got = Array.from({ length: 4000 }, (_, n) => gets('a=b', `10.0.${n >> 8}.${n & 255}`)[0]);
    const of3 = got.filter((release) => release === 3).length;
    expect(of3).toBeGreaterThan(100);
    expect(of3).toBeLessThan(300);
  });
});
