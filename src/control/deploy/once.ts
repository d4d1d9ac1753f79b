/** Instances that run once: release commands, tasks, cron runs and detached `paas run`. */
import { chooseHost, freeRoom } from '../../engines/agents/placement.ts';
import type { ProcessKind } from '../../shared/contracts/app-spec.ts';
import { PaasError } from '../../shared/errors.ts';
import type { Control } from '../context.ts';
import { assignInstance, insertInstance, leave, raiseGenerations, snapshotOf } from '../store/instances.ts';
import type { Db, Trx } from '../store/open.ts';
import type { InstanceRow } from '../store/schema.ts';

export interface OneOff {
  release: number;
  epoch: number;
  processType: string;
  kind: ProcessKind;
  command: string;
  memoryMb: number;
  /** Makes it unique: the same tag never starts a second one. A release command's is its deployment. In `restart_token`. */
  tag: string;
}

/**
 * The one-off with this tag: begun now if there is none, else as it stands. Placed as soon as a host has room.
 * @throws PaasError conflict where the app went meanwhile
 */
export async function runOnce(control: Control, appId: string, once: OneOff): Promise<InstanceRow> {
  const row = await begin(control, appId, once, async (trx) => {
    const app = await trx.selectFrom('apps').select('state').where('id', '=', appId).executeTakeFirst();
    return app !== undefined && app.state !== 'destroying';
  });
  if (row) return row;
  throw new PaasError('conflict', `The app is being destroyed: ${once.processType} was not started.`);
}

/** The release command of a deployment, as `runOnce`; null where the deployment did not wait for it any more. */
export function runRelease(control: Control, appId: string, once: OneOff): Promise<InstanceRow | null> {
  return begin(control, appId, once, async (trx) => {
    const waiting = trx
      .selectFrom('deployments')
      .innerJoin('apps', 'apps.active_deployment', 'deployments.id')
      .select('deployments.id')
      .where('deployments.id', '=', once.tag)
      .where('deployments.state', '=', 'releasing')
      .where('deployments.release', '=', once.release);
    return (await waiting.executeTakeFirst()) !== undefined;
  });
}

/** @param isWanted asked as it begins: whoever took it back until then has found nothing to end */
async function begin(
  control: Control,
  appId: string,
  once: OneOff,
  isWanted: (trx: Trx) => Promise<boolean>,
): Promise<InstanceRow | null> {
  const { store, wake } = control;
  const present = await findOnce(control, appId, once.tag);
  if (present) {
    if (present.host_id === null && present.ended_at === null) await placeOnce(control, present);
    return present;
  }
  const isBegun = await store.transaction(async (trx) => {
    if (!(await isWanted(trx))) return false;
    const last = await trx
      .selectFrom('instances')
      .select('ordinal')
      .where('app_id', '=', appId)
      .where('process_type', '=', once.processType)
      .orderBy('ordinal', 'desc')
      .limit(1)
      .executeTakeFirst();
    const workload = { ...once, count: 1, cpu: null };
    const id = await insertInstance(
      trx,
      appId,
      { workload, ordinal: (last?.ordinal ?? 0) + 1, hostId: null },
      { command: once.command },
    );
    await trx.updateTable('instances').set({ restart_token: once.tag }).where('id', '=', id).execute();
    return true;
  });
  if (!isBegun) return null;
  const made = await findOnce(control, appId, once.tag);
  if (!made) throw new Error(`the one-off ${once.tag} vanished`);
  await placeOnce(control, made);
  wake.hosts();
  return made;
}

export async function findOnce(control: Control, appId: string, tag: string): Promise<InstanceRow | undefined> {
  return control.store.db
    .selectFrom('instances')
    .selectAll()
    .where('app_id', '=', appId)
    .where('restart_token', '=', tag)
    .executeTakeFirst();
}

/** Ends the one-off with this tag, where it still runs: SIGTERM, and SIGKILL after its grace period. */
export async function endOnce(trx: Trx, appId: string, tag: string): Promise<void> {
  const rows = await unended(trx, appId).where('restart_token', '=', tag).execute();
  const ids = rows.map(({ id }) => id);
  await raiseGenerations(trx, await leave(trx, ids));
}

/** Ends what waits for a host to run once: the app stops. What runs comes to its own end. */
export async function endUnplaced(trx: Trx, appId: string): Promise<void> {
  const rows = await unended(trx, appId).where('command', 'is not', null).where('host_id', 'is', null).execute();
  await leave(
    trx,
    rows.map(({ id }) => id),
  );
}

const unended = (db: Db | Trx, appId: string) =>
  db.selectFrom('instances').select('id').where('app_id', '=', appId).where('ended_at', 'is', null);

/** Whether a one-off of this process type with another tag has not ended yet. */
export async function othersRun(control: Control, appId: string, processType: string, tag: string): Promise<boolean> {
  const row = await unended(control.store.db, appId)
    .where('process_type', '=', processType)
    .where('kind', '=', 'task')
    .where('restart_token', 'not in', [tag, ''])
    .executeTakeFirst();
  return row !== undefined;
}

/** Places a waiting one-off where there is room; without room it stays, and the next look tries again. */
export function placeOnce(control: Control, row: InstanceRow): Promise<boolean> {
  return control.placing.run(() => place(control, row));
}

async function place(control: Control, row: InstanceRow): Promise<boolean> {
  const host = await control.store.transaction(async (trx) => {
    const { hosts, instances } = await snapshotOf(trx);
    const chosen = chooseHost(freeRoom(hosts, instances), new Map(), row.memory_mb);
    if (chosen === null) return null;
    await assignInstance(trx, row.id, chosen);
    await raiseGenerations(trx, [chosen]);
    return chosen;
  });
  if (host !== null) control.assign(host);
  return host !== null;
}
