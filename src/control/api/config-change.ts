/** Handlers of what makes a release without a push: config and rollback. */
import type * as z from 'zod/mini';
import type * as api from '../../shared/contracts/api.ts';
import { PaasError } from '../../shared/errors.ts';
import { openConfig } from '../agents/assignments.ts';
import { appFlags, formationOf } from '../deploy/apps.ts';
import { activate, endActive, finish, insertDeployment, presentDeployment } from '../deploy/deployments.ts';
import { mergeFormation, own, sameJson } from '../deploy/diff.ts';
import {
  cancelUselessBuilds,
  carriedOn,
  changeEffects,
  setAside,
  supersedeQueued,
  underWay,
  type UnderWay,
} from '../deploy/during.ts';
import { effectsOf, formerFormation } from '../deploy/effects.ts';
import { releaseRow } from '../deploy/push.ts';
import { applyConfig, beginRollout, insertRelease, putConfig, type RolloutWish } from '../deploy/release.ts';
import { emptyManifest, type Config, type Formation, type ReleaseProcesses } from '../deploy/types.ts';
import type { Trx } from '../store/open.ts';
import type { AppRow, ReleaseRow, RolloutRow } from '../store/schema.ts';
import type { Call } from './define.ts';
import { appOf, audit } from './naming.ts';

type ConfigCall = Call<z.infer<typeof api.configRequest>>;

export async function changeConfig(call: ConfigCall): Promise<unknown> {
  const { control, body } = call;
  const app = await appOf(call);
  const answer = await call.commit(async (trx) => {
    const present = await appOf(call, trx);
    const before = await openConfig(control, app.id, present.config_version, trx);
    const after = changed(call, before);
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
      (key) => before[key] !== after[key],
    );
    if (keys.length === 0) return { version: present.config_version, changed: keys, deployment: null };
    const active = await underWay(trx, present);
    if (active?.rollout && !active.goesBack && body.restart) {
      const made = await takeOver(trx, call, present, active.rollout, after, describe(keys));
      return { ...made, changed: keys };
    }
    if (active?.rollout && !(active.goesBack && body.restart)) {
      return { version: await recordBoth(trx, call, present, active.rollout), changed: keys, deployment: null };
    }
    return { ...(await changeInForce(trx, call, present, active, describe(keys))), changed: keys };
  });
  if (answer.changed.length > 0) {
    await cancelUselessBuilds(control, app.id);
    const more = answer.deployment ? { deployment: answer.deployment.id } : {};
    // Names only: values are secret.
    await audit(call, 'config.change', app, `config changed: ${answer.changed.join(', ')}`, more);
  }
  control.wake.app(app.id);
  return answer;
}

const describe = (keys: readonly string[]): string => `config: ${keys.join(', ')}`;

function changed({ body }: ConfigCall, before: Config): Config {
  const unset = new Set(body.unset);
  const kept = Object.entries(before).filter(([key]) => !unset.has(key));
  return Object.fromEntries([...kept, ...Object.entries(body.set)].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What the rollout leads to, with the change, is what is rolled out from now on, in the same way. */
async function takeOver(
  trx: Trx,
  call: ConfigCall,
  app: AppRow,
  rollout: RolloutRow,
  config: Config,
  description: string,
) {
  const target = await releaseRow(call.control, app.id, rollout.to_release, trx);
  if (!target) throw new PaasError('internal', `The release v${rollout.to_release} vanished.`);
  const before = await openConfig(call.control, app.id, app.config_version, trx);
  const version = await putConfig(trx, call.control, app, before, config, call.principal.name);
  const plan = carriedOn(app, rollout);
  const wish = { kind: 'config' as const, description, configVersion: version };
  return { version, deployment: await roll(trx, call, app, target, wish, plan) };
}

/** `--no-restart` during a rollout: the next release takes it up, whether that one follows the old or the new one. */
async function recordBoth(trx: Trx, call: ConfigCall, app: AppRow, rollout: RolloutRow): Promise<number> {
  const { control, principal } = call;
  const { configBefore, configAfter } = effectsOf(rollout);
  const record = async (version: number): Promise<number> => {
    const values = await openConfig(control, app.id, version, trx);
    return putConfig(trx, control, { ...app, config_version: version }, values, changed(call, values), principal.name);
  };
  const old = await record(configBefore);
  const version = await record(app.config_version);
  const after = app.config_version === configAfter ? version : configAfter;
  await changeEffects(trx, rollout, () => ({ configBefore: old, configAfter: after }));
  await applyConfig(trx, app.id, version);
  return version;
}

/** Nothing is being rolled out, or it is on its way back: the release in force gets the change. */
async function changeInForce(trx: Trx, call: ConfigCall, app: AppRow, active: UnderWay | null, description: string) {
  const { control, principal, body } = call;
  if (active?.rollout) await endActive(trx, app, 'superseded');
  const fresh = await appOf(call, trx);
  const before = await openConfig(control, app.id, fresh.config_version, trx);
  const version = await putConfig(trx, control, fresh, before, changed(call, before), principal.name);
  const current = fresh.release === null ? undefined : await releaseRow(control, app.id, fresh.release, trx);
  // A release that a push has made already knows nothing of the change: it is made anew.
  const made = active?.deployment.release ?? null;
  const goesFirst = current !== undefined && body.restart;
  const free = goesFirst || made !== null ? await setAside(trx, fresh) : fresh;
  await applyConfig(trx, app.id, version);
  if (!goesFirst) return { version, deployment: null };
  const wish = { kind: 'config' as const, description, configVersion: version };
  return { version, deployment: await roll(trx, call, free, current, wish) };
}

/** A release with the image and processes of `source`, rolled out: as `plan` says, else one after the other. */
async function roll(
  trx: Trx,
  call: Call<unknown>,
  app: AppRow,
  source: ReleaseRow,
  wish: { kind: 'config' | 'rollback'; description: string; configVersion: number },
  plan?: Omit<RolloutWish, 'deploymentId' | 'to' | 'processes'>,
) {
  const { control } = call;
  const processes = JSON.parse(source.processes) as ReleaseProcesses;
  const actor = call.principal.name;
  const release = await insertRelease(trx, app.id, {
    imageId: source.image_id,
    configVersion: wish.configVersion,
    processes,
    router: source.router,
    description: wish.description,
    actor,
  });
  const row = await insertDeployment(trx, app.id, {
    kind: wish.kind,
    actor,
    state: 'rolling',
    release: release.version,
  });
  const fresh = await activate(trx, app, row.id);
  await applyConfig(trx, app.id, wish.configVersion);
  if (fresh.state === 'stopped' && !plan) await putInForce(trx, fresh, release);
  else
    await beginRollout(trx, control, fresh, {
      deploymentId: row.id,
      to: { release: release.version, epoch: fresh.epoch },
      processes,
      ...(plan ?? {
        strategy: 'rolling',
        maxInFlight: undefined,
        formation: await formationWith(trx, fresh, processes),
        manifest: null,
        routesAdd: [],
        routesRemove: [],
      }),
    });
  const stored = await trx.selectFrom('deployments').selectAll().where('id', '=', row.id).executeTakeFirstOrThrow();
  return presentDeployment(control, stored, trx);
}

/** The formation with all that a release has, also what one since then was without. */
async function formationWith(trx: Trx, app: AppRow, processes: ReleaseProcesses): Promise<Formation> {
  const formation = formationOf(app);
  const missing = Object.keys(processes).filter((type) => !own(formation, type));
  const known = { ...(await formerFormation(trx, app.id, missing)), ...formation };
  return { ...formation, ...mergeFormation(known, emptyManifest, { name: app.name, processes: {} }, processes, {}) };
}

/** A stopped app stays stopped: it starts with this release. */
async function putInForce(trx: Trx, app: AppRow, { version, router }: ReleaseRow): Promise<void> {
  await trx.updateTable('apps').set({ release: version, router }).where('id', '=', app.id).execute();
  await trx
    .updateTable('releases')
    .set({ state: 'live' })
    .where('app_id', '=', app.id)
    .where('version', '=', version)
    .execute();
  await finish(trx, { id: app.active_deployment ?? '', app_id: app.id }, { state: 'succeeded' });
}

export async function rollback(call: Call<z.infer<typeof api.rollbackRequest>>): Promise<unknown> {
  const { control, body } = call;
  const app = await appOf(call);
  const answer = await call.commit(async (trx) => {
    const present = await appOf(call, trx);
    const active = await underWay(trx, present);
    const rollout = active?.rollout ?? null;
    const leaves = rollout !== null && present.release !== null && rollout.to_release !== present.release;
    if (leaves && (body.to ?? present.release) === present.release)
      return { deployment: await turnBack(trx, call, present, rollout) };
    const target = await rollbackTarget(trx, present, body.to);
    const current = present.release === null ? undefined : await releaseRow(control, app.id, present.release, trx);
    const same = current?.image_id === target.image_id && current.config_version === target.config_version;
    const alike = same && sameJson(current.processes, target.processes) && current.router === target.router;
    await supersedeQueued(trx, app.id);
    if (alike && !rollout) {
      await endActive(trx, present, 'superseded');
      return { deployment: null };
    }
    const deployment = await roll(trx, call, present, target, {
      kind: 'rollback',
      description: `rollback to v${target.version}`,
      configVersion: target.config_version,
    });
    return { deployment };
  });
  await cancelUselessBuilds(control, app.id);
  if (answer.deployment) {
    const to = body.to === undefined ? 'the release before' : `v${body.to}`;
    await audit(call, 'app.rollback', app, `rollback to ${to}`, { deployment: answer.deployment.id });
  }
  control.wake.app(app.id);
  control.wake.routes();
  return answer;
}

/** Back to the release that is still in force: the rollout away from it is cancelled, which is quick and makes no release. */
async function turnBack(trx: Trx, call: Call<unknown>, app: AppRow, rollout: RolloutRow) {
  await trx
    .updateTable('rollouts')
    .set({ state: 'cancelling' })
    .where('id', '=', rollout.id)
    .where('state', 'in', ['running', 'paused'])
    .execute();
  await supersedeQueued(trx, app.id);
  const row = await insertDeployment(trx, app.id, {
    kind: 'rollback',
    actor: call.principal.name,
    state: 'rolling',
    ...(app.release === null ? {} : { release: app.release }),
  });
  return presentDeployment(call.control, row, trx);
}

async function rollbackTarget(trx: Trx, app: AppRow, to: number | undefined): Promise<ReleaseRow> {
  const rows = await trx
    .selectFrom('releases')
    .selectAll()
    .where('app_id', '=', app.id)
    .orderBy('version', 'desc')
    .execute();
  if (to !== undefined) {
    const found = rows.find((row) => row.version === to);
    if (found) return found;
    throw new PaasError('not_found', `${app.name} has no release v${to}.`, {
      hint: `See \`paas releases${appFlags(app)}\`.`,
    });
  }
  const before = rows.find((row) => row.state === 'live' && app.release !== null && row.version < app.release);
  if (before) return before;
  throw new PaasError('conflict', `${app.name} has no earlier release that was live.`, {
    hint: `See \`paas releases${appFlags(app)}\`.`,
  });
}
