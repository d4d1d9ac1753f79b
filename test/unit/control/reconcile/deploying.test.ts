import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openConfig } from '../../../../src/control/agents/assignments.ts';
import { formationOf } from '../../../../src/control/deploy/apps.ts';
import { routesOf } from '../../../../src/control/deploy/routes.ts';
import { formatRoute } from '../../../../src/shared/routes-text.ts';
import * as life from '../../../support/app-life.ts';
import { addHost, addRouter, makeControl, type TestControl } from '../../../support/control.ts';

let control: TestControl;
let world: life.Life;
beforeEach(async () => {
  control = await makeControl();
  await addHost(control, 'h1');
  await addHost(control, 'h2');
  world = { control, router: await addRouter(control) };
});
afterEach(() => control.close());

const v = (text: string) => ({ files: life.plainApp(text) });
const crashNew =
  (release: number): life.Behaviour =>
  (row) =>
    row.release >= release ? life.crashed(row) : life.healthy(row);
const config = async (appId: string) => openConfig(control, appId, (await life.appOf(control, appId)).config_version);
const routes = async (appId: string) => (await routesOf(control.store.db, appId)).map(formatRoute);
const web = async (appId: string) => formationOf(await life.appOf(control, appId))['web'];
const releases = async () =>
  (await control.store.db.selectFrom('releases').select(['version', 'state']).orderBy('version').execute()).map(
    ({ version, state }) => `v${version} ${state}`,
  );

describe('a push', () => {
  it('becomes a release, a rollout and healthy instances', async () => {
    const done = await life.pushApp(world, {
      spec: { processes: { web: { kind: 'web', command: './run', instances: 2 } } },
    });
    expect(done).toMatchObject({ state: 'succeeded', release: 1, changed: 1, error: null });
    expect(await life.instancesOf(control, done.app_id)).toEqual(['web.1 v1 run healthy', 'web.2 v1 run healthy']);
    expect(await life.appOf(control, done.app_id)).toMatchObject({
      release: 1,
      state: 'active',
      active_deployment: null,
    });
    expect(await routes(done.app_id)).toEqual(['shop.localhost']);
    expect(await releases()).toEqual(['v1 live']);
    const kinds = (await control.events.list({ deploymentId: done.id })).map(({ kind }) => kind);
    expect(kinds).toEqual(expect.arrayContaining(['instance.healthy', 'deployment.succeeded']));
  });

  it('of the same makes no release', async () => {
    await life.pushApp(world);
    const again = await life.pushApp(world);
    expect(again).toMatchObject({ state: 'succeeded', release: 1, changed: 0 });
    expect(await releases()).toEqual(['v1 live']);
  });

  it('replaces what ran before', async () => {
    const { app_id: appId } = await life.pushApp(world);
    await life.pushApp(world, v('two'));
    expect(await life.instancesOf(control, appId)).toEqual(['web.1 v2 run healthy']);
    expect(await releases()).toEqual(['v1 live', 'v2 live']);
  });

  it('has not succeeded before routers have its route, though they lag behind', async () => {
    const { id, appId } = await life.beginPush(control);
    for (let i = 0; i < 5; i++) {
      await control.reconcileApp(appId);
      await life.agentsReport(control);
    }
    expect(await life.deploymentOf(control, id)).toMatchObject({ state: 'rolling' });
    expect(await life.finished(world, id)).toMatchObject({ state: 'succeeded' });
  });

  it('applies routes that changed in the manifest without a new release', async () => {
    const { app_id: appId } = await life.pushApp(world, { spec: { routes: ['shop.example.com', 'old.example.com'] } });
    const changed = await life.pushApp(world, { spec: { routes: ['shop.example.com', 'new.example.com/api'] } });
    expect(changed).toMatchObject({ state: 'succeeded', changed: 1, release: 1 });
    expect((await routes(appId)).sort()).toEqual(['new.example.com/api', 'shop.example.com', 'shop.localhost']);
  });

  it('with another size replaces the instances of the same release', async () => {
    const size = (memoryMb: number) => ({ spec: { processes: { web: { kind: 'web', command: './run', memoryMb } } } });
    const { app_id: appId } = await life.pushApp(world, size(256));
    const done = await life.pushApp(world, size(1024));
    expect(done).toMatchObject({ state: 'succeeded', changed: 1, release: 1 });
    const rows = await control.store.db.selectFrom('instances').selectAll().where('ended_at', 'is', null).execute();
    expect(rows.map((row) => row.memory_mb)).toEqual([1024]);
    expect(await life.appOf(control, appId)).toMatchObject({ release: 1, epoch: 1 });
  });

  it('fails with the reason where a route belongs to another app, and changes nothing', async () => {
    await life.pushApp(world, { name: 'first', spec: { routes: ['www.example.com'] } });
    const second = await life.pushApp(world, {
      name: 'second',
      spec: { routes: ['www.example.com'], config: { A: '1' } },
    });
    expect(second.state).toBe('failed');
    expect(JSON.parse(second.error!)).toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('first') as string,
    });
    expect(await config(second.app_id)).toEqual({});
  });

  it('compares anew when someone scales at the same moment', async () => {
    const { app_id: appId } = await life.pushApp(world);
    const { id } = await life.beginPush(control, v('two'));
    // Between reading the app and making the release.
    const { blobs } = control;
    const assertComplete = blobs.assertComplete.bind(blobs);
    blobs.assertComplete = async (root) => {
      blobs.assertComplete = assertComplete;
      const formation = formationOf(await life.appOf(control, appId));
      formation['web']!.instances = 3;
      await control.store.db
        .updateTable('apps')
        .set({ formation: JSON.stringify(formation) })
        .execute();
      return assertComplete(root);
    };
    expect(await life.finished(world, id)).toMatchObject({ state: 'succeeded' });
    expect(await web(appId)).toMatchObject({ instances: 3 });
    expect(await life.instancesOf(control, appId)).toHaveLength(3);
  });
});

describe('a push that fails', () => {
  const wish = {
    ...v('two'),
    spec: {
      processes: { web: { kind: 'web', command: './run', instances: 4 } },
      ...{ config: { COLOUR: 'red' }, routes: ['extra.example.com'] },
    },
  };

  it('gives formation, config, routes and manifest back as they were', async () => {
    const { app_id: appId } = await life.pushApp(world, { config: { KEEP: 'me' } });
    const before = await life.appOf(control, appId);
    const failed = await life.pushApp({ ...world, behave: crashNew(2) }, wish);
    expect(failed.state).toBe('failed');
    expect(JSON.parse(failed.error!)).toMatchObject({
      code: 'unhealthy',
      message: expect.stringMatching(/web\.\d of v2 did not become healthy: exited with status 1/) as string,
      hint: expect.stringContaining('v1 still serves') as string,
    });
    expect(await life.appOf(control, appId)).toEqual({ ...before, last_release: 2 });
    expect(await config(appId)).toEqual({ KEEP: 'me' });
    expect(await routes(appId)).toEqual(['shop.localhost']);
    expect(await life.instancesOf(control, appId)).toEqual(['web.1 v1 run healthy']);
    expect(await releases()).toEqual(['v1 live', 'v2 failed']);
    // And the same push, mended, applies all of it.
    await life.pushApp(world, { ...wish, ...v('three') });
    expect(await web(appId)).toMatchObject({ instances: 4 });
    expect(await config(appId)).toEqual({ COLOUR: 'red', KEEP: 'me' });
  });

  it('keeps what someone scaled meanwhile', async () => {
    const { app_id: appId } = await life.pushApp(world);
    const { id } = await life.beginPush(control, wish);
    await life.round({ ...world, behave: () => null }, appId);
    const formation = formationOf(await life.appOf(control, appId));
    expect(formation['web']!.instances).toBe(4);
    formation['web']!.instances = 2;
    await control.store.db
      .updateTable('apps')
      .set({ formation: JSON.stringify(formation) })
      .execute();
    expect((await life.finished({ ...world, behave: crashNew(2) }, id)).state).toBe('failed');
    expect(await web(appId)).toMatchObject({ instances: 2 });
    expect(await life.instancesOf(control, appId)).toEqual(['web.1 v1 run healthy', 'web.2 v1 run healthy']);
  });

  it('at first leaves the app without a release, but with its address', async () => {
    const failed = await life.pushApp({ ...world, behave: crashNew(1) });
    expect(failed.state).toBe('failed');
    expect(await life.instancesOf(control, failed.app_id)).toEqual([]);
    expect(await life.appOf(control, failed.app_id)).toMatchObject({ release: null, active_deployment: null });
    expect(await routes(failed.app_id)).toEqual(['shop.localhost']);
    expect((await life.pushApp(world, v('two'))).state).toBe('succeeded');
  });

  it('says so when there is no room and no more hosts may come', async () => {
    control.settings.cluster = { ...control.settings.cluster, maxHosts: 2 };
    const processes = { web: { kind: 'web', command: './run', instances: 3, memoryMb: 4096 } };
    const failed = await life.pushApp(world, { spec: { processes } });
    expect(JSON.parse(failed.error!)).toMatchObject({ code: 'no_capacity' });
    expect(await life.instancesOf(control, failed.app_id)).toEqual([]);
  });
});

describe('a release command', () => {
  const released = { spec: { release: './migrate', config: { STEP: '2' } }, ...v('two') };
  const ends =
    (code: number): life.Behaviour =>
    (row) =>
      row.process_type !== 'release'
        ? life.healthy(row)
        : { ...life.crashed(row, 0), exit: { code, signal: null, reason: 'exited', at: '' } };

  it('runs once with the new release before its rollout', async () => {
    const { app_id: appId } = await life.pushApp(world);
    const { id } = await life.beginPush(control, released);
    await life.round({ ...world, behave: () => null }, appId);
    await life.round({ ...world, behave: () => null }, appId);
    expect(await life.instancesOf(control, appId)).toEqual(['release.1 v2 run pending', 'web.1 v1 run healthy']);
    expect((await life.finished({ ...world, behave: ends(0) }, id)).state).toBe('succeeded');
    expect(await life.instancesOf(control, appId)).toEqual(['web.1 v2 run healthy']);
    expect(await config(appId)).toEqual({ STEP: '2' });
  });

  it('that fails stops the push; config is as it was', async () => {
    const { app_id: appId } = await life.pushApp(world, { spec: { config: { STEP: '1' } } });
    const failed = await life.pushApp({ ...world, behave: ends(7) }, released);
    expect(JSON.parse(failed.error!)).toMatchObject({
      code: 'release_failed',
      message: expect.stringContaining('status 7') as string,
    });
    expect(await config(appId)).toEqual({ STEP: '1' });
    expect(await life.instancesOf(control, appId)).toEqual(['web.1 v1 run healthy']);
    expect(await releases()).toEqual(['v1 live', 'v2 failed']);
  });

  it('that finds no room fails the push where no host can come, and is not run later', async () => {
    control.settings.cluster = { ...control.settings.cluster, maxHosts: 2 };
    const processes = { web: { kind: 'web', command: './run', instances: 2, memoryMb: 4096 } };
    const { app_id: appId } = await life.pushApp(world, { spec: { processes } });
    const failed = await life.pushApp(world, { ...v('two'), spec: { processes, release: './migrate' } });
    expect(failed.state).toBe('failed');
    expect(JSON.parse(failed.error!)).toMatchObject({ code: 'no_capacity' });
    await addHost(control, 'h3');
    await life.round({ ...world, behave: ends(0) }, appId);
    expect(await life.instancesOf(control, appId)).toEqual(['web.1 v1 run healthy', 'web.2 v1 run healthy']);
    expect(await releases()).toEqual(['v1 live', 'v2 failed']);
  });

  it('that finds no room waits while hosts may come', async () => {
    control.settings.cluster = { ...control.settings.cluster, maxHosts: 3 };
    const processes = { web: { kind: 'web', command: './run', instances: 2, memoryMb: 4096 } };
    const { app_id: appId } = await life.pushApp(world, { spec: { processes } });
    const { id } = await life.beginPush(control, { ...v('two'), spec: { processes, release: './migrate' } });
    for (let i = 0; i < 5; i++) await life.round(world, appId);
    expect((await life.deploymentOf(control, id)).state).toBe('releasing');
    await addHost(control, 'h3');
    expect(await life.finished({ ...world, behave: ends(0) }, id)).toMatchObject({ state: 'succeeded', error: null });
  });

  it('before a rollout that fails gives config back too', async () => {
    const { app_id: appId } = await life.pushApp(world, { spec: { config: { STEP: '1' } } });
    const behave: life.Behaviour = (row) => (row.process_type === 'release' ? ends(0)(row) : crashNew(2)(row));
    expect((await life.pushApp({ ...world, behave }, released)).state).toBe('failed');
    expect(await config(appId)).toEqual({ STEP: '1' });
  });
});
