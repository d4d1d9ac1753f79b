/** Builds without a push. */
import type { BuildRow } from '../../src/control/store/schema.ts';
import type { TestControl } from './control.ts';
import { appRow } from './rows.ts';

/** Queues a build of `app_1` as a push does, and hands it to a host that is ready. */
export async function beginBuild(control: TestControl, id = 'bld_1'): Promise<void> {
  const plan = {
    ...{ needs: [], commands: [], files: {}, sharedCaches: {}, defaultProcesses: {}, env: {} },
    ...{ profile: '', warnings: [], noCommand: '' },
  };
  const base = { name: 'host', digest: 'b'.repeat(64) };
  await control.store.transaction((trx) =>
    control.builds.queue(trx, id, appRow('app_1'), 'a'.repeat(64), { stack: 'node', key: 'key', plan, base }),
  );
  await control.builds.dispatch();
}

/** All builds, those that ended first. */
export const builds = (control: TestControl): Promise<BuildRow[]> =>
  control.store.db.selectFrom('builds').selectAll().orderBy('finished_at', 'desc').execute();
