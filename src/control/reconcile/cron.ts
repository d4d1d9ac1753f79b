/** Starts what a schedule is due for. A run is recorded under its time before it starts, so it starts at most once. */
import type { Control } from '../context.ts';
import { formationOf } from '../deploy/apps.ts';
import { runOnce } from '../deploy/once.ts';
import { parseSchedule } from '../deploy/schedule.ts';
import type { ReleaseProcesses } from '../deploy/types.ts';
import { defaultMemoryMb } from '../../shared/contracts/app-spec.ts';
import type { AppRow } from '../store/schema.ts';

/** A server that was away starts a missed run only if it was due within this time. */
const catchUpMs = 60_000;

/** Stands for the moment at which a schedule was seen for the first time. */
export const firstSeen = 0;

/** Looks at all schedules; meant to be called every second. */
export async function reconcileCron(control: Control, now = Date.now()): Promise<void> {
  const rows = await control.store.db
    .selectFrom('apps')
    .innerJoin('releases', (join) =>
      join.onRef('releases.app_id', '=', 'apps.id').onRef('releases.version', '=', 'apps.release'),
    )
    .selectAll('apps')
    .select('releases.processes')
    .where('apps.state', '=', 'active')
    .where('releases.processes', 'like', '%"cron"%')
    .execute();
  for (const app of rows) {
    for (const [processType, process] of Object.entries(JSON.parse(app.processes) as ReleaseProcesses)) {
      // One app's trouble (a host that fails, a row that is damaged) does not hold up the others' schedules.
      await startDue(control, app, processType, process, now).catch((error: unknown) =>
        control.logger.error('a schedule could not be looked at', error, { app: app.name, process: processType }),
      );
    }
  }
}

async function startDue(
  control: Control,
  app: AppRow,
  processType: string,
  { kind, schedule, command }: ReleaseProcesses[string],
  now: number,
): Promise<void> {
  if (kind !== 'cron' || schedule === null || app.release === null) return;
  const isNew = await claim(control, app.id, processType, firstSeen);
  const due = lastDue(schedule, now);
  // What was due before the schedule was there is not caught up with.
  if (due === null || !(await claim(control, app.id, processType, due)) || isNew) return;
  const record = (kind: string, message: string) =>
    control.events.record({
      kind,
      actor: 'platform',
      app: { id: app.id, name: app.name },
      target: processType,
      message,
    });
  const waiting = await waitingRun(control, app.id, processType);
  if (waiting !== undefined) {
    const why = `its run ${processType}.${waiting} still waits for a host with room`;
    await record('cron.skipped', `${processType} was left out by its schedule ${schedule}: ${why}`);
    return;
  }
  await runOnce(control, app.id, {
    release: app.release,
    epoch: app.epoch,
    processType,
    kind,
    command,
    memoryMb: formationOf(app)[processType]?.memoryMb ?? defaultMemoryMb,
    tag: `cron/${processType}/${due}`,
  });
  await record('cron.started', `${processType} was started by its schedule ${schedule}`);
}

/** Number of a run that waits for a host: more beside it would only pile up, and all start at once when one comes. */
async function waitingRun(control: Control, appId: string, processType: string): Promise<number | undefined> {
  const row = await control.store.db
    .selectFrom('instances')
    .select('ordinal')
    .where('app_id', '=', appId)
    .where('process_type', '=', processType)
    .where('kind', '=', 'cron')
    .where('host_id', 'is', null)
    .where('ended_at', 'is', null)
    .executeTakeFirst();
  return row?.ordinal;
}

/** Records a time of a schedule; true when it was not recorded before. */
async function claim(control: Control, appId: string, processType: string, time: number): Promise<boolean> {
  const result = await control.store.db
    .insertInto('cron_runs')
    .values({ app_id: appId, process_type: processType, scheduled_at: time, instance_id: null })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
}

/** The last time that a schedule (five fields, UTC) was due within the catch-up window, or null. */
export function lastDue(schedule: string, now: number): number | null {
  const cron = parseSchedule(schedule, 'a cron process');
  const next = cron.nextRun(new Date(now - catchUpMs));
  let due: number | null = null;
  for (let at = next; at !== null && at.getTime() <= now; at = cron.nextRun(at)) due = at.getTime();
  return due;
}
