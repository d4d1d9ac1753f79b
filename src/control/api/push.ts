/** Handlers of a push: plan it, refuse it early, or record it as a deployment. */
import { PaasError } from '../../shared/errors.ts';
import { dnsLabel } from '../../shared/ids.ts';
import type { Control } from '../context.ts';
import { findApp, insertApp, requireApp, type AppName } from '../deploy/apps.ts';
import { activate, insertDeployment, presentDeployment } from '../deploy/deployments.ts';
import { cancelUselessBuilds, supersedeQueued, underWay } from '../deploy/during.ts';
import { comparePush, describePush, type Push } from '../deploy/push.ts';
import { buildHostFacts, planSource } from '../deploy/source.ts';
import { own, sameJson } from '../deploy/diff.ts';
import { refuseTooLarge } from '../deploy/scale.ts';
import { pushOf, requestPlace } from '../reconcile/advance.ts';
import type { Trx } from '../store/open.ts';
import type { AppRow, DeploymentRow } from '../store/schema.ts';
import type { Call } from './define.ts';
import { audit, nameOf, refuseDestroying } from './naming.ts';

export async function plan(control: Control, name: AppName, body: Push) {
  refuseTooLargeOnes(control, body);
  const app = await findApp(control.store.db, name);
  const facts = await buildHostFacts(control);
  if (!facts) return describePush(name, app, body, null, null);
  const source = await planSource(control, name.project, body.source.tree, body.spec, facts);
  return describePush(name, app, body, source, await comparePush(control, name, app, body, source));
}

export async function push(call: Call<Push>): Promise<unknown> {
  const { control, body } = call;
  const name = nameOf(call.params);
  for (const part of [name.project, name.environment, name.name]) {
    if (!dnsLabel.test(part))
      throw new PaasError('usage', `\`${part}\` is no name: use a-z, 0-9 and -, at most 63 characters.`);
  }
  refuseTooLargeOnes(control, body);
  await control.blobs.assertComplete(body.source.tree);
  const known = await findApp(control.store.db, name);
  if (known) refuseDestroying(known);
  const facts = await buildHostFacts(control);
  // Refused before anything is recorded, where it can be known now.
  const source = facts ? await planSource(control, name.project, body.source.tree, body.spec, facts) : null;
  const outcome = source ? await comparePush(control, name, known, body, source) : null;
  const same =
    outcome !== null &&
    !outcome.releaseDiffers &&
    !outcome.formationDiffers &&
    outcome.routes.add.length + outcome.routes.remove.length === 0;
  if (known && same && known.active_deployment === null && known.state === 'active') return unchanged(call, known);
  const made = await call.commit(async (trx) => {
    const present = await findApp(trx, name);
    const app = present ? refuseDestroying(present) : await insertApp(trx, name);
    const joined = await theSameUnderWay(trx, call, app);
    if (joined) return { joined: true, deployment: await presentDeployment(control, joined, trx) };
    const busy = app.active_deployment !== null && body.concurrent === 'wait';
    const request = control.sealer.seal(JSON.stringify(body), requestPlace(app.id));
    const row = await insertDeployment(trx, app.id, {
      kind: 'push',
      actor: call.principal.name,
      state: busy ? 'queued' : 'building',
      request,
    });
    if (!busy) {
      await supersedeQueued(trx, app.id);
      await activate(trx, app, row.id);
    }
    return { joined: false, deployment: await presentDeployment(control, row, trx) };
  });
  if (made.joined) return made.deployment;
  const app = await requireApp(control.store.db, name);
  await cancelUselessBuilds(control, app.id);
  await audit(call, 'app.push', app, `pushed ${body.message || body.source.tree.slice(0, 12)}`, {
    deployment: made.deployment.id,
  });
  control.wake.app(app.id);
  return made.deployment;
}

/** What is kept running would wait in its rollout, and runs of a schedule for ever. */
function refuseTooLargeOnes(control: Control, { spec, overrides }: Push): void {
  for (const [type, { memoryMb }] of Object.entries({ ...spec.processes, ...overrides })) {
    const asked = memoryMb ?? own(spec.processes, type)?.memoryMb;
    if (asked !== undefined) refuseTooLarge(type, asked, control.settings.cluster);
  }
}

/** A push of the same that is under way, so that a repeated command does not begin anew. One that goes back is none. */
async function theSameUnderWay(trx: Trx, { control, body }: Call<Push>, app: AppRow): Promise<DeploymentRow | null> {
  const active = await underWay(trx, app);
  if (active?.deployment.kind !== 'push' || active.goesBack) return null;
  const plain = ({ message: _, concurrent: __, ...push }: Push) => push;
  return sameJson(plain(pushOf(control, active.deployment)), plain(body)) ? active.deployment : null;
}

/** Nothing differs: an answer without a deployment. */
function unchanged(call: Call<Push>, app: AppRow): Promise<unknown> {
  const row = {
    id: '',
    app_id: app.id,
    kind: 'push',
    state: 'succeeded',
    actor: '',
    request: '',
    release: app.release,
  };
  const rest = {
    build_id: null,
    build: null,
    rollout_id: null,
    changed: 0,
    error: null,
    created_at: Date.now(),
    finished_at: Date.now(),
  };
  return presentDeployment(call.control, { ...row, ...rest });
}
