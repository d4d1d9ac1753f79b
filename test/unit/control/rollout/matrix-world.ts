/** An app in one state of the rollout machine, with agents and a router that live from round to round. */
import { openConfig } from '../../../../src/control/agents/assignments.ts';
import { formationOf } from '../../../../src/control/deploy/apps.ts';
import { routesOf } from '../../../../src/control/deploy/routes.ts';
import { formatRoute } from '../../../../src/shared/routes-text.ts';
import type { InstanceRow } from '../../../../src/control/store/schema.ts';
import { appUrl, TestApi, type Answer } from '../../../support/api.ts';
import * as life from '../../../support/app-life.ts';
import { addHost, addRouter, makeControl, type TestControl } from '../../../support/control.ts';

export const states = [
  ...(['steady', 'building', 'queued', 'releasing', 'rolling', 'paused', 'canary-timed', 'canary-manual'] as const),
  ...(['cancelling', 'failing', 'recreate', 'stopped'] as const),
];
export type State = (typeof states)[number];

export class Matrix {
  readonly control: TestControl;
  readonly api: TestApi;
  readonly router: Awaited<ReturnType<typeof addRouter>>;
  appId = '';
  /** How instances fare. */
  behave: life.Behaviour;
  /** Where the release command is kept from ending. */
  holdRelease = false;
  broken = new Set<number>();

  private constructor(control: TestControl, api: TestApi, router: Matrix['router']) {
    Object.assign(this, { control, api, router });
    this.control = control;
    this.api = api;
    this.router = router;
    this.behave = (row) => {
      if (row.command !== null && row.process_type === 'release') {
        if (this.holdRelease) return { ...life.healthy(row), state: 'starting', ready: false };
        return { ...life.crashed(row, 0), exit: { code: 0, signal: null, reason: 'exited', at: '' } };
      }
      return this.broken.has(row.release) ? life.crashed(row) : life.healthy(row);
    };
  }

  /** v1 with four instances runs; then `state` is brought about by a push of v2 (four instances of 256 MiB, config). */
  static async in(state: State): Promise<Matrix> {
    const control = await makeControl();
    await addHost(control, 'h1', { memory_mb: 16_384 });
    await addHost(control, 'h2', { memory_mb: 16_384 });
    const router = await addRouter(control);
    const matrix = new Matrix(control, await TestApi.of(control), router);
    const { app_id: appId } = await life.pushApp(matrix.life, push('one'));
    matrix.appId = appId;
    await matrix.enter(state);
    return matrix;
  }

  get life(): life.Life {
    const { control, router } = this;
    return { control, router, behave: (row: InstanceRow) => this.behave(row) };
  }

  round(): Promise<void> {
    return life.round(this.life, this.appId);
  }

  async enter(state: State): Promise<void> {
    if (state === 'steady') return;
    if (state === 'stopped') {
      await this.post('/stop');
      await this.settle();
      return;
    }
    const builders = (roles: string) =>
      this.control.store.db.updateTable('hosts').set({ roles }).where('id', 'in', ['h1', 'h2']).execute();
    if (state === 'building' || state === 'queued') {
      await builders('["compute"]');
      await this.begin({});
      if (state === 'queued') await this.post('/pushes', await pushBody(this.control, 'three', { concurrent: 'wait' }));
      return;
    }
    if (state === 'releasing') {
      this.holdRelease = true;
      await this.begin({ release: './migrate' });
      await this.until(async () => (await this.active())?.state === 'releasing');
      await this.round();
      return;
    }
    if (state === 'recreate') {
      await this.begin({}, { strategy: 'recreate' });
      await this.round();
      return;
    }
    if (state === 'canary-manual' || state === 'canary-timed') {
      const steps = { strategy: 'canary', steps: [25, 50, 100] };
      await this.begin({}, { ...steps, ...(state === 'canary-manual' ? { manual: true } : { stepWaitMs: 3600_000 }) });
      await this.until(async () => ((await this.rollout())?.canary ?? '').includes('"reachedAt":1'));
      return;
    }
    if (state === 'failing') {
      await this.begin({});
      await this.until(async () => (await this.count(2)) >= 2);
      this.broken.add(2);
      await this.until(async () => (await this.rollout())?.state === 'failing');
      return;
    }
    await this.begin({});
    await this.until(async () => (await this.count(2)) >= 2);
    if (state === 'paused') await this.post('/rollout/pause');
    if (state === 'cancelling') await this.post('/rollout/cancel');
  }

  /** The host that builds again, the release command that ends. */
  async unblock(): Promise<void> {
    this.holdRelease = false;
    await this.control.store.db
      .updateTable('hosts')
      .set({ roles: '["compute","build"]' })
      .where('id', 'in', ['h1', 'h2'])
      .execute();
  }

  async begin(spec: object, flags: object = {}): Promise<Answer> {
    return this.post('/pushes', await pushBody(this.control, 'two', { spec: specOf('two', 256, spec), ...flags }));
  }

  post(path: string, body: unknown = {}): Promise<Answer> {
    return this.api.call('POST', appUrl + path, { body });
  }

  /** `other` comes just before the next transaction, after all that was read for it. */
  beforeCommit(other: () => Promise<unknown>): void {
    const { store } = this.control;
    const transaction = store.transaction.bind(store);
    store.transaction = async (work) => {
      store.transaction = transaction;
      await other();
      return transaction(work);
    };
  }

  async rollout() {
    const { db } = this.control.store;
    const open = db.selectFrom('rollouts').selectAll().where('app_id', '=', this.appId);
    return open.where('finished_at', 'is', null).executeTakeFirst();
  }

  async active() {
    const app = await this.appIfAny();
    return app?.active_deployment ? life.deploymentOf(this.control, app.active_deployment) : undefined;
  }

  appIfAny() {
    return this.control.store.db.selectFrom('apps').selectAll().where('id', '=', this.appId).executeTakeFirst();
  }

  running() {
    const { db } = this.control.store;
    const all = db.selectFrom('instances').selectAll().where('app_id', '=', this.appId).where('ended_at', 'is', null);
    return all.orderBy('ordinal').execute();
  }

  async count(release: number): Promise<number> {
    const rows = await this.running();
    return rows.filter((r) => r.release === release && r.desired === 'run' && r.state === 'healthy').length;
  }

  /** Instances that every router has. */
  async served(): Promise<number> {
    const rows = await this.running();
    return rows.filter((r) => r.process_type === 'web' && this.control.routing.isRouted(r.id)).length;
  }

  async until(reached: () => Promise<boolean>): Promise<void> {
    for (let i = 0; i < 60; i++) {
      if (await reached()) return;
      await this.round();
    }
    throw new Error(`it does not come to that: ${(await this.facts()).join('; ')}`);
  }

  async open() {
    const { db } = this.control.store;
    const rows = db.selectFrom('deployments').selectAll().where('app_id', '=', this.appId);
    return rows.where('finished_at', 'is', null).execute();
  }

  /** Until nothing is under way any more. @param least served at each moment */
  async settle(least = 0): Promise<void> {
    await this.until(async () => {
      const served = await this.served();
      if (served < least) throw new Error(`${served} of ${least} served: ${(await this.facts()).join('; ')}`);
      const still = (await this.running()).some((r) => r.desired !== 'run' || r.state !== 'healthy' || r.replacing);
      return !still && (await this.open()).length === 0 && (await this.appIfAny())?.state !== 'destroying';
    });
  }

  /** `4 of v1 (512M)`, sorted. */
  async formation(): Promise<string[]> {
    const counts = new Map<string, number>();
    for (const { release, memory_mb: mb } of await this.running()) {
      const key = `v${release} (${mb}M)`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return [...counts].map(([key, n]) => `${n} of ${key}`).sort();
  }

  /** What of the app a cancelled rollout must give back. */
  async kept() {
    const app = await life.appOf(this.control, this.appId);
    return {
      ...{ release: app.release, epoch: app.epoch, state: app.state, gray: app.gray, manifest: app.manifest },
      formation: formationOf(app),
      config: await openConfig(this.control, app.id, app.config_version),
      routes: (await routesOf(this.control.store.db, app.id)).map(formatRoute).sort(),
      runs: await this.formation(),
    };
  }

  async facts(): Promise<string[]> {
    const deployments = (await this.open()).map(({ kind, state }) => `${kind} ${state}`);
    const rows = (await this.running()).map(
      (r) =>
        `${r.process_type}.${r.ordinal} v${r.release}/${r.epoch} ${r.desired} ${r.state}${r.replacing ? ' R' : ''}`,
    );
    return [...deployments, (await this.rollout())?.waits_for ?? 'no rollout', ...rows];
  }
}

const specOf = (text: string, memoryMb: number, more: object = {}) => ({
  processes: { web: { kind: 'web', command: './run', instances: 4, memoryMb } },
  ...{ config: { TEXT: text }, ...(text === 'one' ? {} : { routes: [`${text}.example.com`] }) },
  ...more,
});

const push = (text: string) => ({ files: life.plainApp(text), spec: specOf(text, 512) });

export async function pushBody(
  control: TestControl,
  text: string,
  more: { spec?: object } & Record<string, unknown> = {},
) {
  const { spec = specOf(text, 512), ...flags } = more;
  const tree = await life.storeTree(control, life.plainApp(text));
  return { source: { tree }, spec: { name: 'shop', ...spec }, ...flags };
}
