/** The steps of a deployment before its rollout: build, release, release command. */
import { newId } from '../../shared/ids.ts';
import { PaasError, fromErrorBody } from '../../shared/errors.ts';
import { pushRequest } from '../../shared/contracts/api.ts';
import { launchLine } from '../../stacks/support/launch.ts';
import { releaseFacts } from '../agents/assignments.ts';
import type { Control } from '../context.ts';
import { appFlags } from '../deploy/apps.ts';
import { finish } from '../deploy/deployments.ts';
import { keptRunning } from '../deploy/diff.ts';
import { nextEpoch } from '../deploy/during.ts';
import { comparePush, rolloutPlan, type Push, type PushOutcome } from '../deploy/push.ts';
import { applyConfig, beginRollout, ensureImage, insertRelease, putConfig } from '../deploy/release.ts';
import { routerColumn } from '../deploy/router-settings.ts';
import { addRoute, removeRoute } from '../deploy/routes.ts';
import { buildHostFacts, planSource } from '../deploy/source.ts';
import { othersRun, runRelease, type OneOff } from '../deploy/once.ts';
import type { Trx } from '../store/open.ts';
import type { AppRow, DeploymentRow } from '../store/schema.ts';
import { defaultMemoryMb } from '../../shared/contracts/app-spec.ts';
import { capacityProblem } from './capacity.ts';
import { lastLines } from './evidence.ts';
import { failDeployment } from './failure.ts';

export const requestPlace = (deploymentId: string): string => `deployments/${deploymentId}`;

export function pushOf(
  control: Pick<Control, 'sealer'>,
  deployment: Pick<DeploymentRow, 'request' | 'app_id' | 'kind'>,
): Push {
  return pushRequest.parse(JSON.parse(control.sealer.open(deployment.request, requestPlace(deployment.app_id))));
}

/** building: plan, build where something must be built, then make the release. */
export async function advanceBuilding(control: Control, app: AppRow, deployment: DeploymentRow): Promise<void> {
  const push = pushOf(control, deployment);
  const facts = await buildHostFacts(control);
  if (!facts) {
    // The first host decides what can be built: see needed-hosts.ts, which counts deployments that wait for one.
    control.wake.hosts();
    return;
  }
  const source = await planSource(control, app.project, push.source.tree, push.spec, facts);
  if (source.tree === null) {
    const built = await awaitBuild(control, app, deployment, push, source);
    if (!built) return;
    source.tree = built;
  }
  const info = JSON.stringify(await buildInfo(control, deployment, source.stack, source.cached));
  const outcome = await comparePush(control, app, app, push, source);
  const tree = source.tree;
  await control.blobs.assertComplete(tree);
  const wish = {
    deploymentId: deployment.id,
    formation: outcome.formation,
    ...rolloutPlan(push),
    manifest: outcome.manifest,
    routesAdd: outcome.routes.add,
    routesRemove: outcome.routes.remove,
    processes: outcome.processes,
  };
  await control.store.transaction(async (trx) => {
    if (!(await stillSo(trx, app, deployment))) return;
    await trx.updateTable('deployments').set({ build: info }).where('id', '=', deployment.id).execute();
    const version = await putConfig(trx, control, app, outcome.configBefore, outcome.config, deployment.actor);
    if (!outcome.releaseDiffers) {
      await applyConfig(trx, app.id, version);
      if (app.release !== null && resized(outcome)) {
        const to = { release: app.release, epoch: await nextEpoch(trx, app) };
        await beginRollout(trx, control, app, { ...wish, to });
      } else await applyOnTheSpot(trx, app, deployment, outcome);
      return;
    }
    const image = await ensureImage(trx, app.project, {
      tree,
      base: source.base,
      stack: source.stack,
      env: source.plan.env,
      profile: source.plan.profile,
    });
    const release = await insertRelease(trx, app.id, {
      imageId: image.id,
      configVersion: version,
      processes: outcome.processes,
      router: routerColumn(outcome.router),
      description: describe(push),
      actor: deployment.actor,
    });
    if (push.spec.release !== undefined) {
      await trx
        .updateTable('deployments')
        .set({ state: 'releasing', release: release.version })
        .where('id', '=', deployment.id)
        .execute();
      return;
    }
    await applyConfig(trx, app.id, version);
    await beginRollout(trx, control, app, { ...wish, to: { release: release.version, epoch: app.epoch } });
  });
  control.wake.routes();
  control.wake.app(app.id);
}

/** Whether deployment and app are as they were read; if someone changed them meanwhile, the next look compares anew. */
async function stillSo(trx: Trx, app: AppRow, deployment: DeploymentRow): Promise<boolean> {
  const now = await trx
    .selectFrom('deployments')
    .innerJoin('apps', 'apps.id', 'deployments.app_id')
    .selectAll('apps')
    .select('deployments.state as deployment_state')
    .where('deployments.id', '=', deployment.id)
    .executeTakeFirst();
  return (
    now?.deployment_state === deployment.state &&
    now.active_deployment === deployment.id &&
    now.formation === app.formation &&
    now.manifest === app.manifest &&
    now.config_version === app.config_version &&
    now.release === app.release &&
    now.epoch === app.epoch
  );
}

/** Memory or cpu of something that is kept running changed: its instances have to be replaced. */
function resized({ formation, formationBefore }: PushOutcome): boolean {
  return Object.entries(formation).some(([type, { kind, memoryMb, cpu }]) => {
    const before = formationBefore[type];
    return before !== undefined && keptRunning(kind) && (before.memoryMb !== memoryMb || before.cpu !== cpu);
  });
}

/** Counts and routes changed, nothing else: no rollout is needed. */
async function applyOnTheSpot(
  trx: Trx,
  app: AppRow,
  deployment: DeploymentRow,
  { formation, formationDiffers, manifest, routes }: PushOutcome,
): Promise<void> {
  for (const route of routes.add) await addRoute(trx, app.id, route);
  for (const route of routes.remove) await removeRoute(trx, app.id, route);
  await trx
    .updateTable('apps')
    .set({ formation: JSON.stringify(formation), manifest: JSON.stringify(manifest), state: 'active' })
    .where('id', '=', app.id)
    .execute();
  await trx.updateTable('deployments').set({ release: app.release }).where('id', '=', deployment.id).execute();
  const changed = formationDiffers || routes.add.length + routes.remove.length > 0 || app.state !== 'active';
  await finish(trx, deployment, { state: 'succeeded', changed });
}

async function awaitBuild(
  control: Control,
  app: AppRow,
  deployment: DeploymentRow,
  push: Push,
  source: Awaited<ReturnType<typeof planSource>>,
): Promise<string | null> {
  const app_ = { id: app.id, name: app.name };
  if (deployment.build_id === null) {
    const id = newId('bld');
    await control.store.transaction(async (trx) => {
      await control.builds.queue(trx, id, app, push.source.tree, source);
      await trx.updateTable('deployments').set({ build_id: id }).where('id', '=', deployment.id).execute();
    });
    for (const warning of source.plan.warnings) {
      await control.events.record({
        kind: 'build.warning',
        actor: 'platform',
        app: app_,
        deployment: deployment.id,
        message: warning,
      });
    }
    const names = source.plan.commands.map((command) => command.name).join(', ');
    const message = `building with the ${source.stack} stack: ${names}`;
    await control.events.record({
      kind: 'build.started',
      actor: 'platform',
      app: app_,
      deployment: deployment.id,
      message,
      details: { build: id },
    });
    await control.builds.dispatch();
    return null;
  }
  const build = await control.store.db
    .selectFrom('builds')
    .selectAll()
    .where('id', '=', deployment.build_id)
    .executeTakeFirstOrThrow();
  if (build.state === 'queued') await control.builds.dispatch();
  if (build.state === 'failed') {
    const error = fromErrorBody(
      JSON.parse(build.error ?? '{"code":"build_failed","message":"The build failed."}') as {
        code: string;
        message: string;
      },
    );
    const lines = await lastLines(control, app.id, { instance: build.id, n: 20 });
    const told = new PaasError(error.code === 'internal' ? 'build_failed' : error.code, error.message, {
      hint: error.hint,
      details: { ...error.details, build: build.id, lastLines: lines },
    });
    // Not thrown: a code that calls for another try (`disk_full`) would have this look repeated for ever.
    await failDeployment(control, app, deployment, told);
    return null;
  }
  return build.state === 'succeeded' ? build.tree : null;
}

async function buildInfo(control: Control, deployment: DeploymentRow, stack: string, cached: boolean) {
  if (deployment.build_id === null) return { stack, cached, durationMs: 0 };
  const build = await control.store.db
    .selectFrom('builds')
    .selectAll()
    .where('id', '=', deployment.build_id)
    .executeTakeFirstOrThrow();
  return { stack, cached: false, durationMs: (build.finished_at ?? Date.now()) - build.created_at };
}

function describe(push: Push): string {
  if (push.message !== '') return push.message;
  const { kind, ref, commit } = push.source.provenance;
  const short = typeof commit === 'string' ? commit.slice(0, 10) : '';
  if (short !== '') return `push of ${typeof ref === 'string' && ref !== '' ? `${ref} ` : ''}${short}`;
  return `push${typeof kind === 'string' ? ` of a ${kind}` : ''}`;
}

/** releasing: the release command runs once, with the new image and config; its failure stops everything. */
export async function advanceReleasing(control: Control, app: AppRow, deployment: DeploymentRow): Promise<void> {
  const push = pushOf(control, deployment);
  const version = deployment.release;
  if (version === null || push.spec.release === undefined)
    throw new PaasError('internal', 'A release command without a release.');
  const facts = await releaseFacts(control, app.id, version);
  if (!facts) throw new PaasError('internal', `The release v${version} vanished.`);
  const command = launchLine(facts.image.profile, push.spec.release);
  const once: OneOff = {
    release: version,
    epoch: app.epoch,
    processType: 'release',
    kind: 'task',
    command,
    memoryMb: defaultMemoryMb,
    tag: deployment.id,
  };
  // That of a push that was superseded comes to its end first: two at once would be in each other's way.
  if (await othersRun(control, app.id, once.processType, once.tag)) return;
  const row = await runRelease(control, app.id, once);
  if (!row) return;
  if (row.ended_at === null) {
    const problem = row.host_id === null ? await capacityProblem(control, app.id, [row]) : null;
    if (problem) await failDeployment(control, app, deployment, problem);
    return;
  }
  const exit = row.exit === null ? null : (JSON.parse(row.exit) as { code: number | null; reason: string });
  if (exit?.code !== 0) {
    const lines = await lastLines(control, app.id, { instance: row.id, n: 20 });
    const said = `\`paas logs${appFlags(app)} --instance release.${row.ordinal}\``;
    const lost = row.state === 'lost';
    const how = lost ? 'was lost with its host' : `ended with status ${exit?.code ?? 'unknown'}`;
    const hint = lost
      ? `Nobody knows whether it came to its end: see what it did (${said}), then push again, which runs it again.`
      : `Read all of it: ${said}. The old release still serves.`;
    const told = new PaasError(
      lost ? 'host_failed' : 'release_failed',
      `The release command \`${push.spec.release}\` ${how}.`,
      { hint, details: { lastLines: lines } },
    );
    // Not thrown: `host_failed` would have this look repeated for ever.
    await failDeployment(control, app, deployment, told);
    return;
  }
  const host = await buildHostFacts(control);
  if (!host) return;
  const source = await planSource(control, app.project, push.source.tree, push.spec, host);
  const outcome = await comparePush(control, app, app, push, { ...source, tree: facts.image.tree });
  await control.store.transaction(async (trx) => {
    if (!(await stillSo(trx, app, deployment))) return;
    await applyConfig(trx, app.id, facts.release.config_version);
    await beginRollout(trx, control, app, {
      deploymentId: deployment.id,
      to: { release: version, epoch: app.epoch },
      formation: outcome.formation,
      processes: facts.processes,
      ...rolloutPlan(push),
      manifest: outcome.manifest,
      routesAdd: outcome.routes.add,
      routesRemove: outcome.routes.remove,
    });
  });
  control.wake.routes();
  control.wake.app(app.id);
}
