/** Handlers of what changes size or incarnation without a new release: scale, restart. */
import type * as z from 'zod/mini';
import type * as api from '../../shared/contracts/api.ts';
import type { Formation, ScaleRequest } from '../../shared/contracts/api.ts';
import { PaasError } from '../../shared/errors.ts';
import { appFlags, formationOf } from '../deploy/apps.ts';
import { activate, askedTypes, endWaits, finish, insertDeployment, presentDeployment } from '../deploy/deployments.ts';
import {
  changeEffects,
  nextEpoch,
  replaceRunning,
  scaleBoth,
  setAside,
  underWay,
  type Asked,
} from '../deploy/during.ts';
import { keptRunning } from '../deploy/diff.ts';
import { effectsOf } from '../deploy/effects.ts';
import { beginRollout } from '../deploy/release.ts';
import { scaleFormation, type Scaled } from '../deploy/scale.ts';
import type { ReleaseProcesses } from '../deploy/types.ts';
import type { Trx } from '../store/open.ts';
import type { AppRow, RolloutRow } from '../store/schema.ts';
import type { Call } from './define.ts';
import { appOf, audit } from './naming.ts';
import { scaleRelease } from './scaling-gray.ts';

export async function scale(call: Call<z.infer<typeof api.scaleRequest>>): Promise<unknown> {
  const { control } = call;
  if (call.body.release !== undefined) return scaleRelease(call, call.body.release);
  const app = await appOf(call);
  const answer = await call.commit(async (trx) => {
    const present = await appOf(call, trx);
    const active = await underWay(trx, present);
    const scaled = scaleFormation(formationOf(present), call.body, control.settings.cluster);
    const { formation } = scaled;
    const asked = askedOf(call.body, formation);
    const old = active?.rollout ? ofOld(active.rollout, asked) : { changed: [], rolls: false };
    const changed = [...scaled.changed, ...old.changed];
    if (changed.length === 0) return { formation, deployment: null, changed };
    const isUp = present.release !== null && present.state === 'active';
    if (scaled.rolls && isUp && !active?.rollout) {
      const deployment = await rollInPlace(trx, call, await setAside(trx, present), 'scale', formation);
      return { formation, deployment, changed };
    }
    await trx
      .updateTable('apps')
      .set({ formation: JSON.stringify(formation) })
      .where('id', '=', app.id)
      .execute();
    if (active?.rollout) {
      await changeEffects(trx, active.rollout, (effects) => scaleBoth(effects, asked));
      const isSized = ({ memoryMb, cpu }: Asked) => memoryMb !== undefined || cpu !== undefined;
      const resized = Object.keys(asked).filter((type) => isSized(asked[type]!));
      if (scaled.rolls || old.rolls) await replaceRunning(trx, app.id, resized);
    }
    await endWaits(trx, app.id, 'scale', (other) =>
      (askedTypes(other) ?? []).some((type) => Object.hasOwn(asked, type)),
    );
    const row = await insertDeployment(trx, app.id, {
      kind: 'scale',
      actor: call.principal.name,
      state: 'rolling',
      request: JSON.stringify(Object.keys(asked)),
      ...(present.release === null ? {} : { release: present.release }),
    });
    if (present.release === null) await finish(trx, row, { state: 'succeeded' });
    return { formation, deployment: await presentDeployment(control, row, trx), changed };
  });
  if (answer.changed.length > 0) {
    await audit(
      call,
      'app.scale',
      app,
      `scaled ${answer.changed.join(', ')}`,
      answer.deployment ? { deployment: answer.deployment.id } : {},
    );
  }
  control.wake.app(app.id);
  return { formation: answer.formation, deployment: answer.deployment };
}

/** Of a formation that was scaled, what the request spoke of. */
function askedOf({ processes }: ScaleRequest, formation: Formation): Record<string, Asked> {
  const asked: Record<string, Asked> = {};
  for (const [type, wish] of Object.entries(processes)) {
    const { instances, memoryMb, cpu } = formation[type]!;
    asked[type] = {
      ...(wish.instances === undefined && wish.delta === undefined ? {} : { instances }),
      ...(wish.memoryMb === undefined ? {} : { memoryMb }),
      ...(wish.cpu === undefined ? {} : { cpu }),
    };
  }
  return asked;
}

/** What a scale changes of the old release, maybe of that alone: the push under way may have brought the new one there. */
function ofOld(rollout: RolloutRow, asked: Readonly<Record<string, Asked>>): Pick<Scaled, 'changed' | 'rolls'> {
  const before = effectsOf(rollout).formationBefore;
  const of = `of v${rollout.from_release ?? '?'}`;
  const changed: string[] = [];
  let rolls = false;
  for (const [type, wish] of Object.entries(asked)) {
    const old = before[type];
    if (!old) continue;
    const { instances, memoryMb, cpu } = { ...old, ...wish };
    if (instances !== old.instances) changed.push(`${type} ${of} ${old.instances} -> ${instances}`);
    if (memoryMb !== old.memoryMb) changed.push(`${type} memory ${of} ${old.memoryMb}M -> ${memoryMb}M`);
    if (cpu !== old.cpu) changed.push(`${type} cpu ${of} ${old.cpu ?? 'no limit'} -> ${cpu ?? 'no limit'}`);
    rolls ||= keptRunning(old.kind) && (memoryMb !== old.memoryMb || cpu !== old.cpu);
  }
  return { changed, rolls };
}

/** A rollout of the release in force onto itself: new instances beside the old ones, so that nothing is interrupted. */
async function rollInPlace(
  trx: Trx,
  call: Call<unknown>,
  app: AppRow,
  kind: 'restart' | 'scale',
  formation = formationOf(app),
) {
  const { control } = call;
  if (app.release === null)
    throw new PaasError('conflict', `${app.name} has no release yet.`, { hint: '`paas push` makes one.' });
  const release = await trx
    .selectFrom('releases')
    .selectAll()
    .where('app_id', '=', app.id)
    .where('version', '=', app.release)
    .executeTakeFirstOrThrow();
  const row = await insertDeployment(trx, app.id, {
    kind,
    actor: call.principal.name,
    state: 'rolling',
    release: app.release,
  });
  await activate(trx, app, row.id);
  await beginRollout(trx, control, app, {
    deploymentId: row.id,
    to: { release: app.release, epoch: await nextEpoch(trx, app) },
    strategy: 'rolling',
    maxInFlight: undefined,
    formation,
    manifest: null,
    routesAdd: [],
    routesRemove: [],
    processes: JSON.parse(release.processes) as ReleaseProcesses,
  });
  const stored = await trx.selectFrom('deployments').selectAll().where('id', '=', row.id).executeTakeFirstOrThrow();
  return presentDeployment(control, stored, trx);
}

export async function restart(call: Call<z.infer<typeof api.restartRequest>>): Promise<unknown> {
  const { control, body } = call;
  const app = await appOf(call);
  const one = body.instance ?? body.process;
  if (one !== undefined) return restartSome(call, app, one);
  const answer = await call.commit(async (trx) => {
    const present = await appOf(call, trx);
    const active = await underWay(trx, present);
    if (!active?.rollout) return { deployment: await rollInPlace(trx, call, await setAside(trx, present), 'restart') };
    await replaceRunning(trx, app.id);
    return { deployment: await waited(trx, call, present) };
  });
  await audit(call, 'app.restart', app, 'restarted', { deployment: answer.deployment.id });
  control.wake.app(app.id);
  return answer;
}

/** One instance, or those of one process type: each is replaced by another one, which comes first. */
async function restartSome(call: Call<unknown>, app: AppRow, which: string): Promise<unknown> {
  const { control } = call;
  const rows = await control.store.db
    .selectFrom('instances')
    .selectAll()
    .where('app_id', '=', app.id)
    .where('ended_at', 'is', null)
    .where('desired', '=', 'run')
    .where('command', 'is', null)
    .execute();
  const chosen = rows.filter((row) => which === row.process_type || which === `${row.process_type}.${row.ordinal}`);
  if (chosen.length === 0)
    throw new PaasError('not_found', `${app.name} has no running ${which}.`, {
      hint: `See \`paas ps${appFlags(app)}\`.`,
    });
  const ids = chosen.map((row) => row.id);
  const types = [...new Set(chosen.map((row) => row.process_type))];
  const answer = await call.commit(async (trx) => {
    await trx.updateTable('instances').set({ replacing: 1 }).where('id', 'in', ids).execute();
    return { deployment: await waited(trx, call, app, types) };
  });
  await audit(call, 'app.restart', app, `restarted ${which}`, { deployment: answer.deployment.id });
  control.wake.app(app.id);
  return answer;
}

/** A restart beside whatever is under way: it has come when nothing is left that is to be replaced. */
async function waited(trx: Trx, call: Call<unknown>, app: AppRow, types?: readonly string[]) {
  const row = await insertDeployment(trx, app.id, {
    kind: 'restart',
    actor: call.principal.name,
    state: 'rolling',
    ...(types ? { request: JSON.stringify(types) } : {}),
    ...(app.release === null ? {} : { release: app.release }),
  });
  return presentDeployment(call.control, row, trx);
}
