import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { formationOf } from '../../../../src/control/deploy/apps.ts';
import { recoverIdempotent } from '../../../../src/control/store/idempotency.ts';
import { appUrl, TestApi, type Answer } from '../../../support/api.ts';
import * as life from '../../../support/app-life.ts';
import { addHost, addRouter, makeControl, whileRouting, type TestControl } from '../../../support/control.ts';

let control: TestControl;
let api: TestApi;
let world: life.Life;
let appId: string;
beforeEach(async () => {
  control = await makeControl();
  await addHost(control, 'h1');
  world = { control, router: await addRouter(control) };
  appId = (
    await life.pushApp(world, {
      spec: { processes: { web: { kind: 'web', command: './run' }, worker: { kind: 'worker', command: './run' } } },
    })
  ).app_id;
  api = await TestApi.of(control);
});
afterEach(() => control.close());

const scale = (idempotencyKey: string, delta = 1): Promise<Answer> =>
  api.call('PATCH', `${appUrl}/formation`, { idempotencyKey, body: { processes: { worker: { delta } } } });
const workers = async () => formationOf(await life.appOf(control, appId))['worker']!.instances;
const deployments = async () => (await control.store.db.selectFrom('deployments').selectAll().execute()).length;

describe('a change with an Idempotency-Key', () => {
  it('acts once and gives the same answer each time', async () => {
    const first = await scale('k1');
    expect(first).toMatchObject({ status: 200, body: { deployment: { kind: 'scale' } } });
    const made = await deployments();
    expect(await scale('k1')).toEqual(first);
    expect(await workers()).toBe(2);
    expect(await deployments()).toBe(made);
    await scale('k2');
    expect(await workers()).toBe(3);
  });

  it.each([
    ['rollout', 'POST', `${appUrl}/restart`, {}],
    ['config', 'PATCH', `${appUrl}/config`, { set: { A: '1' } }],
    ['route', 'POST', `${appUrl}/routes`, { route: 'www.example.com' }],
    ['stop', 'POST', `${appUrl}/stop`, {}],
    ['destroy', 'DELETE', appUrl, {}],
    ['cloud', 'POST', '/v1/hosts', { count: 1 }],
  ] as const)('of kind %s gives the same answer, too', async (name, method, url, body) => {
    const first = await whileRouting(control, world.router, api.call(method, url, { idempotencyKey: name, body }));
    expect(first.code).toBeUndefined();
    const made = await deployments();
    expect(await api.call(method, url, { idempotencyKey: name, body })).toEqual(first);
    expect(await deployments()).toBe(made);
  });

  it('gives what was shown first, also where more was shown than recorded at the commit', async () => {
    await life.beginPush(control, { files: life.plainApp('two') });
    await life.round({ ...world, behave: () => null }, appId);
    const pause = () => api.call('POST', `${appUrl}/rollout/pause`, { idempotencyKey: 'p', body: {} });
    const first = await pause();
    expect(first.body).toMatchObject({ rollout: { state: 'paused' } });
    expect(await pause()).toEqual(first);
  });

  it('is refused for another request', async () => {
    await scale('k1');
    expect(await scale('k1', 2)).toMatchObject({ status: 409, code: 'conflict' });
    const other = await api.call('POST', `${appUrl}/stop`, { idempotencyKey: 'k1', body: {} });
    expect(other).toMatchObject({ code: 'conflict' });
    expect(await workers()).toBe(2);
  });

  it('belongs to its signer', async () => {
    await scale('k1');
    const body = { processes: { worker: { delta: 1 } } };
    const other = await api.call('PATCH', `${appUrl}/formation`, { idempotencyKey: 'k1', body, as: 'developer' });
    expect(other.status).toBe(200);
    expect(await workers()).toBe(3);
  });

  it('acts once when it comes many times at once', async () => {
    const answers = await Promise.all([scale('k'), scale('k'), scale('k'), scale('k')]);
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(1);
    for (const { status, code } of answers) expect(status === 200 || code === 'locked').toBe(true);
    expect(await workers()).toBe(2);
  });

  it('may be repeated when it was refused', async () => {
    expect(await scale('k1', -9)).toMatchObject({ code: 'usage' });
    expect(await scale('k1', -9)).toMatchObject({ code: 'usage' });
    expect(await workers()).toBe(1);
  });

  it('is answered after a restart of the server as before it', async () => {
    const first = await scale('k1');
    const again = await TestApi.of(control);
    const body = { processes: { worker: { delta: 1 } } };
    expect(await again.call('PATCH', `${appUrl}/formation`, { idempotencyKey: 'k1', body })).toEqual(first);
  });

  it.each([
    [
      'run --detach',
      `${appUrl}/sessions`,
      { kind: 'run', argv: ['true'], detach: true },
      async () => (await life.instancesOf(control, appId)).filter((row) => row.startsWith('run.')).length,
      1,
    ],
    [
      'hosts create',
      '/v1/hosts',
      { count: 2 },
      async () =>
        (await control.store.db.selectFrom('hosts').select('id').where('state', '=', 'creating').execute()).length,
      2,
    ],
  ] as const)(
    'of kind %s acts once, too, when the server is killed before the answer',
    async (_, url, body, made, wanted) => {
      // Events come after the change: the handler that is "killed" there never goes on.
      const recording = vi.spyOn(control.events, 'record').mockReturnValue(new Promise(() => undefined));
      void api.call('POST', url, { idempotencyKey: 'k', body });
      await expect.poll(() => recording.mock.calls.length).toBeGreaterThan(0);
      recording.mockRestore();
      await recoverIdempotent(control.store);
      const repeated = await api.call('POST', url, { idempotencyKey: 'k', body });
      expect(repeated.code).toBeUndefined();
      expect(await made()).toBe(wanted);
      expect(await api.call('POST', url, { idempotencyKey: 'k', body })).toEqual(repeated);
    },
  );

  it('runs a detached command once for each key', async () => {
    const run = (idempotencyKey: string) =>
      api.call('POST', `${appUrl}/sessions`, { idempotencyKey, body: { kind: 'run', argv: ['true'], detach: true } });
    const answers = [await run('k1'), await run('k2'), await run('k1')];
    expect(answers.map(({ body }) => body['instance'])).toEqual(['run.1', 'run.2', 'run.1']);
  });

  it('has a key of bearable length', async () => {
    expect(await scale('k'.repeat(201))).toMatchObject({ code: 'bad_request' });
  });
});
