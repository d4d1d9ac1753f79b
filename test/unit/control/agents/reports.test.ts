import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyReport } from '../../../../src/control/agents/reports.ts';
import type { InstanceStatus } from '../../../../src/shared/contracts/instances.ts';
import * as life from '../../../support/app-life.ts';
import { addHost, makeControl, type TestControl } from '../../../support/control.ts';
import { appRow, instanceRow } from '../../../support/rows.ts';

let control: TestControl;
beforeEach(async () => {
  control = await makeControl();
  await addHost(control, 'a', { generation: 5 });
  await control.store.db
    .insertInto('apps')
    .values(appRow('app_1', { name: 'shop', active_deployment: 'dep_1' }))
    .execute();
});
afterEach(() => control.close());

const starting = { state: 'starting', ready: 0, was_healthy: 0, address: null, port: null } as const;
const add = async (change = {}) => {
  const row = instanceRow('i1', change);
  await control.store.db.insertInto('instances').values(row).execute();
  return row;
};
const report = (instances: InstanceStatus[], change: { full?: boolean; generation?: number; hostId?: string } = {}) =>
  applyReport(control, { hostId: 'a', generation: 5, instances, full: false, ...change });
const row = () => control.store.db.selectFrom('instances').selectAll().executeTakeFirstOrThrow();
const events = async () => (await control.events.list({})).map(({ kind, message }) => `${kind}: ${message}`);

describe('a report', () => {
  it('of an instance that became healthy is stored, told and acted upon', async () => {
    const instance = await add(starting);
    await report([life.healthy(instance)]);
    expect(await row()).toMatchObject({
      state: 'healthy',
      ready: 1,
      was_healthy: 1,
      address: '127.0.0.2',
      port: 20_001,
    });
    const [event] = await control.events.list({ deploymentId: 'dep_1' });
    expect(event).toMatchObject({
      ...{ kind: 'instance.healthy', app: 'shop', target: 'web.1', actor: 'platform' },
      message: 'web.1 of v1 is healthy on 127.0.0.2:20001',
    });
    expect(control.woken).toEqual(expect.arrayContaining(['routes', 'app:app_1']));
  });

  it('of nothing new does nothing', async () => {
    const instance = await add(starting);
    await report([life.healthy(instance)]);
    control.woken.length = 0;
    await report([{ ...life.healthy(instance), cpu: 0.7, memoryMb: 99 }]);
    expect(control.woken).toEqual([]);
    expect(await events()).toHaveLength(1);
  });

  it('says how an instance ended, once', async () => {
    const instance = await add();
    await report([life.crashed(instance, 1)]);
    await report([life.crashed(instance, 1)]);
    expect(await events()).toEqual(['instance.crashed: web.1 of v1 exited with status 1']);
    expect(await row()).toMatchObject({ state: 'crashed', was_healthy: 1, restarts: 1, ended_at: null });
  });

  it('says why an instance is unhealthy', async () => {
    const instance = await add();
    await report([
      { ...life.healthy(instance), state: 'unhealthy', ready: false, message: 'GET /health answered 500' },
    ]);
    expect(await events()).toEqual(['instance.unhealthy: web.1 of v1 is unhealthy: GET /health answered 500']);
  });

  it('ends what was asked to stop and is gone from the whole of it', async () => {
    await add({ desired: 'stop' });
    await report([], { full: false });
    expect((await row()).ended_at).toBeNull();
    await report([], { full: true, generation: 4 });
    expect((await row()).ended_at, 'the agent does not know yet').toBeNull();
    await report([], { full: true });
    expect(await row()).toMatchObject({ state: 'stopped', ready: 0, desired: 'stop' });
    expect((await row()).ended_at).toBeGreaterThan(0);
  });

  it('ends nothing that shall run, though the agent does not name it', async () => {
    await add();
    await report([], { full: true });
    expect(await row()).toMatchObject({ ended_at: null, desired: 'run' });
  });

  it.each([
    ['drain', 'stopped', true],
    ['stop', 'stopped', true],
    ['stop', 'crashed', true],
    ['drain', 'crashed', false],
    ['run', 'crashed', false],
    ['run', 'stopped', false],
  ] as const)('of %s and %s ends it: %s', async (desired, state, ends) => {
    const instance = await add({ desired });
    await report([{ ...life.crashed(instance), state }]);
    expect((await row()).ended_at !== null).toBe(ends);
  });

  it('of a one-off that ended ends it, with its status', async () => {
    const instance = await add({ kind: 'task', command: './job', ...starting });
    await report([{ ...life.crashed(instance, 0), exit: { code: 0, signal: null, reason: 'exited', at: '' } }]);
    const ended = await row();
    expect(ended.ended_at).toBeGreaterThan(0);
    expect(JSON.parse(ended.exit!)).toMatchObject({ code: 0 });
    expect(await events()).toEqual(['instance.finished: web.1 of v1 exited with status 0']);
    const host = await control.store.db.selectFrom('hosts').select('generation').executeTakeFirst();
    expect(host?.generation).toBe(6);
  });

  it('of another host’s instance is passed over', async () => {
    await addHost(control, 'b');
    const instance = await add(starting);
    await report([life.healthy(instance)], { hostId: 'b', full: true });
    expect(await row()).toMatchObject({ state: 'starting' });
  });
});
