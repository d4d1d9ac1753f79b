/** What follows when hosts are lost: their instances are placed elsewhere, and the hosts are replaced. */
import type { Control } from '../context.ts';
import type { HostRow } from '../store/schema.ts';
import { runsOnce } from '../store/instances.ts';

/** Declares hosts lost. Their instances end as `lost`; the next look of each app places new ones. */
export async function loseHosts(control: Control, lost: readonly { host: HostRow; why: string }[]): Promise<void> {
  for (const { host, why } of lost) {
    const { instances: rows, builds } = await control.store.transaction(async (trx) => {
      await trx.updateTable('hosts').set({ state: 'lost', message: why }).where('id', '=', host.id).execute();
      const instances = await trx
        .selectFrom('instances')
        .selectAll()
        .where('host_id', '=', host.id)
        .where('ended_at', 'is', null)
        .execute();
      await trx
        .updateTable('instances')
        .set({
          state: 'lost',
          ready: 0,
          ended_at: Date.now(),
          desired: 'stop',
          message: `its host ${host.name} was lost`,
        })
        .where('host_id', '=', host.id)
        .where('ended_at', 'is', null)
        .execute();
      const builds = await control.builds.leave(trx, host.id, `its host ${host.name} was lost`);
      return { instances, builds };
    });
    const text = `${host.name} is lost (${why}); ${rows.length} instances are placed elsewhere`;
    await control.events.record({ kind: 'host.lost', actor: 'platform', target: host.name, message: text });
    for (const row of rows) {
      const next = runsOnce(row) ? '' : '; a new one is placed';
      control.say(row.app_id, `${row.process_type}.${row.ordinal}`, `lost with its host ${host.name}${next}`);
      control.wake.app(row.app_id);
    }
    for (const build of builds) control.wake.app(build.app_id);
  }
  control.wake.routes();
  control.wake.hosts();
}
