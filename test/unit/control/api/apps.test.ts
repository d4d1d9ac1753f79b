/** Commands for a whole app that meet another one on their way. */
import { afterEach, describe, expect, it } from 'vitest';
import { runOnce } from '../../../../src/control/deploy/once.ts';
import { appUrl } from '../../../support/api.ts';
import { Matrix, pushBody } from '../rollout/matrix-world.ts';

let m: Matrix;
afterEach(() => m.control.close());

const stop = () => m.post('/stop');
const destroy = () => m.api.call('DELETE', appUrl);
const state = async () => (await m.appIfAny())?.state;

/** `other` comes between what the next push has read and what it does. */
function duringPush(other: () => Promise<unknown>): void {
  let met = false;
  m.control.stacks = m.control.stacks.map((stack) => ({
    ...stack,
    detect: (context) => stack.detect(context),
    plan: async (request) => {
      if (!met) {
        met = true;
        await other();
      }
      return stack.plan(request);
    },
  }));
}

describe('stop of a stopped app', () => {
  it.each(['building', 'queued', 'releasing'] as const)('ends a push under way (%s)', async (underWay) => {
    m = await Matrix.in('stopped');
    await m.enter(underWay);
    const answer = await stop();
    expect(answer).toMatchObject({ status: 200, body: { deployment: { kind: 'stop' } } });
    expect(await m.active()).toBeUndefined();
    expect((await m.open()).filter(({ kind }) => kind === 'push')).toEqual([]);
    await m.unblock();
    await m.settle();
    expect(await state()).toBe('stopped');
    expect(await m.running()).toEqual([]);
  });

  it('with nothing under way does nothing', async () => {
    m = await Matrix.in('stopped');
    expect(await stop()).toMatchObject({ status: 200, body: { deployment: null } });
  });

  it('leaves a stop alone that is under way', async () => {
    m = await Matrix.in('steady');
    await stop();
    expect(await stop()).toMatchObject({ status: 200, body: { deployment: null } });
    expect((await m.open()).map(({ kind }) => kind)).toEqual(['stop']);
  });
});

describe('a push of what is in force', () => {
  it.each([
    ['stop', stop, 'stopped'],
    ['destroy', destroy, 'destroying'],
  ] as const)('takes no %s back that comes meanwhile', async (_, command, expected) => {
    m = await Matrix.in('steady');
    duringPush(command);
    const answer = await m.post('/pushes', await pushBody(m.control, 'one'));
    expect(answer).toMatchObject({ status: 202, body: { changed: false, state: 'succeeded' } });
    expect(await state()).toBe(expected);
  });
});

it('start takes no destroy back that comes meanwhile', async () => {
  m = await Matrix.in('stopped');
  m.beforeCommit(destroy);
  expect(await m.post('/start')).toMatchObject({ code: 'conflict' });
  expect(await state()).toBe('destroying');
});

it.each([
  ['POST', '/restart', {}],
  ['PATCH', '/config', { set: { A: 'b' } }],
  ['PATCH', '/formation', { processes: { web: { memoryMb: 256 } } }],
  ['PATCH', '/formation', { processes: { web: { instances: 3 } } }],
  ['PUT', '/maintenance', {}],
] as const)('%s %s takes no destroy back that comes meanwhile', async (method, path, body) => {
  m = await Matrix.in('steady');
  m.beforeCommit(destroy);
  const answer = await m.api.call(method, appUrl + path, { body });
  expect(answer).toMatchObject({ status: 409, body: { error: { code: 'conflict' } } });
  expect(await state()).toBe('destroying');
});

it('stop ends the first push of an app', async () => {
  m = await Matrix.in('steady');
  const first = appUrl.replace(/[^/]+$/, 'first');
  await m.control.store.db.updateTable('hosts').set({ roles: '["compute"]' }).execute();
  const call = (method: 'POST' | 'GET', path: string, body?: unknown) => m.api.call(method, first + path, { body });
  expect((await call('POST', '/start', {})).status).toBe(404);
  await call('POST', '/pushes', await pushBody(m.control, 'one'));
  expect(await call('POST', '/start', {})).toMatchObject({ status: 409 });
  expect(await call('POST', '/stop', {})).toMatchObject({ status: 200, body: { deployment: { kind: 'stop' } } });
  const { body } = await call('GET', '/rollout');
  expect(body).toMatchObject({ rollout: null, deployment: { kind: 'stop' } });
});

it('a push that meets a destroy on its way is refused, and is not lost with the app', async () => {
  m = await Matrix.in('steady');
  duringPush(destroy);
  const answer = await m.post('/pushes', await pushBody(m.control, 'two'));
  expect(answer).toMatchObject({ status: 409 });
  expect(await m.active()).toBeUndefined();
});

it('stop ends the one-offs that wait for a host, and leaves those alone that run', async () => {
  m = await Matrix.in('steady');
  const { release, epoch } = (await m.appIfAny())!;
  const once = { release: release!, epoch, processType: 'run', kind: 'task', command: 'true' } as const;
  await runOnce(m.control, m.appId, { ...once, memoryMb: 64, tag: 'runs' });
  await runOnce(m.control, m.appId, { ...once, memoryMb: 100_000, tag: 'waits' });
  await stop();
  const rows = await m.control.store.db.selectFrom('instances').selectAll().where('command', 'is not', null).execute();
  expect(rows.map((row) => [row.restart_token, row.ended_at === null])).toEqual([
    ['runs', true],
    ['waits', false],
  ]);
});

describe('what no host could ever hold', () => {
  const refusal = {
    code: 'no_capacity',
    body: { error: { message: expect.stringContaining('100000 MiB') as string } },
  };
  const made = async () => [await m.open(), await m.control.store.db.selectFrom('instances').selectAll().execute()];

  it.each(['cron', 'web'])('is refused with the push or its plan (%s)', async (kind) => {
    m = await Matrix.in('steady');
    const before = await made();
    const body = await pushBody(m.control, 'two');
    const large = { kind, command: './run', memoryMb: 100_000, ...(kind === 'cron' ? { schedule: '* * * * *' } : {}) };
    const spec = { ...body.spec, processes: { web: { kind: 'web', command: './run' }, large } };
    for (const path of ['/pushes', '/plans']) {
      expect(await m.post(path, { ...body, spec })).toMatchObject(refusal);
      const overrides = { web: { memoryMb: 100_000 } };
      expect(await m.post(path, { ...body, overrides })).toMatchObject(refusal);
      // The flag counts, not the manifest.
      if (path === '/plans')
        expect((await m.post(path, { ...body, spec, overrides: { large: { memoryMb: 64 } } })).code).toBeUndefined();
    }
    expect(await made()).toEqual(before);
  });

  it.each([true, false])('is refused as a one-off (detached: %s)', async (detach) => {
    m = await Matrix.in('steady');
    const before = await made();
    const run = { kind: 'run', argv: ['true'], detach, memoryMb: 100_000 };
    expect(await m.post('/sessions', run)).toMatchObject(refusal);
    expect(await made()).toEqual(before);
  });
});
