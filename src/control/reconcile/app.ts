/**
 * One look at one app: moves its deployment by one step where it can move, and tells the engine what shall run.
 *
 *   queued ─► building ─► (release made) ─► releasing ─► rolling ─► succeeded
 *                 └───────────┴──────────────┴─ failed, cancelled, superseded
 *
 * Every step is recorded before the next begins and may be repeated: a server that is killed anywhere goes on from
 * what is recorded.
 */
import type { Workload } from '../../engines/port.ts';
import { asPaasError } from '../../shared/errors.ts';
import type { Control } from '../context.ts';
import { formationOf } from '../deploy/apps.ts';
import { activate, unfinished } from '../deploy/deployments.ts';
import { underWay } from '../deploy/during.ts';
import type { ReleaseProcesses } from '../deploy/types.ts';
import { targetsOf } from '../deploy/wanted.ts';
import { settle } from '../rollout/machine.ts';
import { withStandIns } from '../rollout/stand-ins.ts';
import type { AppRow, DeploymentRow } from '../store/schema.ts';
import { advanceBuilding, advanceReleasing } from './advance.ts';
import { failDeployment } from './failure.ts';
import { advanceRollout } from './rollouts.ts';
import { judgeConvergence } from './convergence.ts';
import { finishDestroy } from './destroy.ts';
import { grayWorkloads, observeStable } from './gray.ts';

export class AppReconciler {
  readonly #control: Control;

  constructor(control: Control) {
    this.#control = control;
  }

  async reconcile(appId: string): Promise<void> {
    const { db } = this.#control.store;
    const app = await db.selectFrom('apps').selectAll().where('id', '=', appId).executeTakeFirst();
    if (!app) return;
    if (app.state === 'destroying') {
      await this.#control.engine.apply(appId, []);
      await finishDestroy(this.#control, app);
      return;
    }
    const open = await db
      .selectFrom('deployments')
      .selectAll()
      .where('app_id', '=', appId)
      .where('state', 'in', unfinished)
      .orderBy('created_at')
      .orderBy('id')
      .execute();
    const active = open.find((deployment) => deployment.id === app.active_deployment);
    const next = open.find((deployment) => deployment.state === 'queued');
    if (!active && next) {
      await this.#activateQueued(appId, next.id);
      this.#control.wake.app(appId);
      return;
    }
    if (active) await this.#advance(app, active);
    if (active?.state !== 'rolling') await this.#steady(app.id);
    await judgeConvergence(
      this.#control,
      appId,
      open.filter((deployment) => deployment.state === 'rolling' && deployment.rollout_id === null),
    );
  }

  /** Unless somebody has come before it since the app was read: with another push, or a cancel. */
  async #activateQueued(appId: string, next: string): Promise<void> {
    await this.#control.store.transaction(async (trx) => {
      const app = await trx.selectFrom('apps').selectAll().where('id', '=', appId).executeTakeFirst();
      if (!app || (await underWay(trx, app))) return;
      const taken = await trx
        .updateTable('deployments')
        .set({ state: 'building' })
        .where('id', '=', next)
        .where('state', '=', 'queued')
        .executeTakeFirst();
      if (taken.numUpdatedRows > 0n) await activate(trx, app, next);
    });
  }

  async #advance(app: AppRow, deployment: DeploymentRow): Promise<void> {
    try {
      if (deployment.state === 'building') await advanceBuilding(this.#control, app, deployment);
      else if (deployment.state === 'releasing') await advanceReleasing(this.#control, app, deployment);
      else if (deployment.state === 'rolling') await advanceRollout(this.#control, app, deployment);
    } catch (thrown) {
      const error = asPaasError(thrown);
      if (error.retryable) throw error;
      if (error.code === 'internal')
        this.#control.logger.error('a deployment failed by a bug', thrown, { deployment: deployment.id });
      await failDeployment(this.#control, app, deployment, error);
    }
  }

  /** Outside a rollout: the release in force, in the numbers of the formation. */
  async #steady(appId: string): Promise<void> {
    const { db } = this.#control.store;
    const rollouts = db.selectFrom('rollouts').select('id').where('app_id', '=', appId);
    const app = await db
      .selectFrom('apps')
      .selectAll()
      .where('id', '=', appId)
      // One may have begun in this very look: the formation, and whether the app runs, are the new release's from then on.
      .where((eb) => eb.not(eb.exists(rollouts.where('finished_at', 'is', null))))
      .executeTakeFirst();
    if (!app) return;
    if (app.state === 'stopped' || app.release === null) return this.#control.engine.apply(appId, []);
    const release = await db
      .selectFrom('releases')
      .select('processes')
      .where('app_id', '=', appId)
      .where('version', '=', app.release)
      .executeTakeFirstOrThrow();
    const processes = JSON.parse(release.processes) as ReleaseProcesses;
    const formation = formationOf(app);
    const instances = await observeStable(this.#control, app);
    // What a superseded rollout has left serves until the release in force is there in full.
    const { wanted } = settle({
      strategy: 'rolling',
      from: { release: app.release, epoch: app.epoch },
      oldTargets: targetsOf(processes, formation),
      instances,
      routed: await this.#control.routing.reaching(appId),
    });
    const workloads = withStandIns(wanted, instances).flatMap((entry): Workload[] => {
      const size = formation[entry.processType];
      const kind = processes[entry.processType]?.kind;
      return size && kind ? [{ ...entry, kind, memoryMb: size.memoryMb, cpu: size.cpu }] : [];
    });
    await this.#control.engine.apply(appId, [...workloads, ...(await grayWorkloads(this.#control, app))]);
  }
}
