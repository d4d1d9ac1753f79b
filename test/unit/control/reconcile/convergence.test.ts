/** What only waits (scale, start, restart) ends when what was asked for is there, or cannot come to be. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AppSummary, Deployment } from '../../../../src/shared/contracts/api.ts';
import type { DeploymentRow, InstanceRow } from '../../../../src/control/store/schema.ts';
import { appUrl, TestApi } from '../../../support/api.ts';
import * as life from '../../../support/app-life.ts';
import { addHost, addRouter, makeControl, type TestControl } from '../../../support/control.ts';

let control: TestControl;
let world: life.Life;
let api: TestApi;
beforeEach(async () => {
  control = await makeControl();
  await addHost(control, 'h1', { memory_mb: 16_384 });
  world = { control, router: await addRouter(control) };
  api = await TestApi.of(control);
});
afterEach(() => control.close());

const web = { web: { kind: 'web', command: './run' } };
const both = { ...web, worker: { kind: 'worker', command: './run' } };

/** Asks, and lives until that has ended. */
async function done(method: 'POST' | 'PATCH', path: string, body: unknown = {}): Promise<DeploymentRow> {
  const answer = await api.call(method, appUrl + path, { body });
  expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
  return life.finished(world, (answer.body as { deployment: Deployment }).deployment.id);
}
const scale = (processes: Record<string, { instances: number }>) => done('PATCH', '/formation', { processes });
const summary = async () => (await api.get(appUrl)).body as unknown as AppSummary;

describe('with an instance that was healthy once and crashes ever since', () => {
  const isBroken = (row: InstanceRow): boolean => row.process_type === 'web' && row.ordinal === 1;
  beforeEach(async () => {
    await life.pushApp(world, { spec: { processes: both } });
    world = { ...world, behave: (row) => (isBroken(row) ? life.crashed(row, 9) : life.healthy(row)) };
  });

  it('a scale of another process type ends when that is there', async () => {
    expect(await scale({ worker: { instances: 3 } })).toMatchObject({ state: 'succeeded', error: null });
    expect(await scale({ worker: { instances: 1 } })).toMatchObject({ state: 'succeeded', error: null });
  });

  it('a scale of its own process type tells of it once all others are there', async () => {
    const failed = await scale({ web: { instances: 2 } });
    expect(JSON.parse(failed.error!)).toMatchObject({ code: 'unhealthy', details: { instance: 'web.1' } });
  });

  it('a restart of another process type ends when that is done', async () => {
    expect(await done('POST', '/restart', { process: 'worker' })).toMatchObject({ state: 'succeeded', error: null });
  });

  it('a restart of that instance gives the one that comes its chance', async () => {
    await life.agentsReport(control, world.behave);
    const [first] = await control.store.db
      .selectFrom('instances')
      .select('id')
      .where('process_type', '=', 'web')
      .execute();
    world = { ...world, behave: (row) => (row.id === first!.id ? life.crashed(row, 9) : life.healthy(row)) };
    expect(await done('POST', '/restart', { instance: 'web.1' })).toMatchObject({ state: 'succeeded', error: null });
  });

  it('a start tells of it', async () => {
    const crashing = world.behave!;
    await done('POST', '/stop');
    const answer = await api.call('POST', `${appUrl}/start`, { body: {} });
    const { id, app_id: appId } = await life.deploymentOf(
      control,
      (answer.body as { deployment: Deployment }).deployment.id,
    );
    // Its worker comes last: its web has been healthy by then.
    world.behave = (row) => (row.process_type === 'web' ? life.healthy(row) : null);
    await life.live(world, appId, async () =>
      (await life.instancesOf(control, appId)).includes('web.1 v1 run healthy'),
    );
    world.behave = crashing;
    const failed = await life.finished(world, id);
    expect(JSON.parse(failed.error!)).toMatchObject({ code: 'unhealthy', details: { instance: 'web.1' } });
    expect(await life.instancesOf(control, appId)).toContain('worker.1 v1 run healthy');
  });
});

it('a scale down does not fail for one that crashes and leaves', async () => {
  await life.pushApp(world, { spec: { processes: { web: { ...web.web, instances: 2 } } } });
  world = { ...world, behave: (row) => (row.ordinal === 2 ? life.crashed(row, 9) : life.healthy(row)) };
  await life.agentsReport(control, world.behave);
  expect(await scale({ web: { instances: 1 } })).toMatchObject({ state: 'succeeded', error: null });
});

describe('after a rollback to a release without one of the process types', () => {
  let appId: string;
  beforeEach(async () => {
    ({ app_id: appId } = await life.pushApp(world, { spec: { processes: web } }));
    await life.pushApp(world, { files: life.plainApp('two'), spec: { processes: both } });
    expect(await done('POST', '/rollback')).toMatchObject({ state: 'succeeded' });
  });

  it('the app is healthy without it', async () => {
    expect(await summary()).toMatchObject({ state: 'healthy', instances: { desired: 1, healthy: 1 } });
  });

  it('scale, restart and start end', async () => {
    expect(await scale({ web: { instances: 2 } })).toMatchObject({ state: 'succeeded' });
    expect(await done('POST', '/restart', { instance: 'web.1' })).toMatchObject({ state: 'succeeded' });
    await done('POST', '/stop');
    expect(await done('POST', '/start')).toMatchObject({ state: 'succeeded' });
    expect(await summary()).toMatchObject({ state: 'healthy', instances: { desired: 2, healthy: 2 } });
  });

  it('the way forward again gives it back in its number', async () => {
    await scale({ worker: { instances: 2 } });
    expect(await done('POST', '/rollback', { to: 2 })).toMatchObject({ state: 'succeeded' });
    const running = await life.instancesOf(control, appId);
    expect(running).toEqual(['web.1 v4 run healthy', 'worker.1 v4 run healthy', 'worker.2 v4 run healthy']);
  });
});
