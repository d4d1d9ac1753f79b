import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { maintain } from '../../../../src/control/reconcile/maintenance.ts';
import { pruneRows, retention } from '../../../../src/control/reconcile/retention.ts';
import { StoredNonces } from '../../../../src/control/store/nonces.ts';
import { pushApp, round } from '../../../support/app-life.ts';
import { addHost, addRouter, makeControl, type TestControl } from '../../../support/control.ts';
import { appRow, deploymentRow, instanceRow } from '../../../support/rows.ts';

let control: TestControl;
let nonces: StoredNonces;
beforeEach(async () => {
  control = await makeControl();
  nonces = new StoredNonces(control.store);
  await control.store.db
    .insertInto('apps')
    .values([appRow('app_1'), appRow('app_2')])
    .execute();
});
afterEach(() => control.close());

const day = 24 * 3600_000;
const now = Date.now();
const ids = async (table: 'instances' | 'deployments'): Promise<string[]> =>
  (await control.store.db.selectFrom(table).select('id').execute()).map(({ id }) => id).sort();

describe('rows', () => {
  it('of what has ended go when they are old; what is under way stays, however old', async () => {
    const old = now - 31 * day;
    await control.store.db
      .insertInto('deployments')
      .values([
        deploymentRow('old', { finished_at: old }),
        deploymentRow('young', { finished_at: now - day }),
        deploymentRow('open', { created_at: old }),
      ])
      .execute();
    await control.store.db
      .insertInto('instances')
      .values([instanceRow('gone', { ended_at: now - 8 * day }), instanceRow('runs', { created_at: old })])
      .execute();
    await pruneRows(control, nonces, now);
    expect(await ids('deployments')).toEqual(['open', 'young']);
    expect(await ids('instances')).toEqual(['runs']);
  });

  it('of a busy app go when there are many, and those of others stay', async () => {
    const many = Array.from({ length: retention.deployments + 20 }, (_, i) =>
      deploymentRow(`d${String(i).padStart(4, '0')}`, { finished_at: now - 1_000_000 + i }),
    );
    const other = deploymentRow('other', { app_id: 'app_2', finished_at: now - day });
    const open = deploymentRow('open');
    await control.store.db
      .insertInto('deployments')
      .values([...many, other, open])
      .execute();
    await pruneRows(control, nonces, now);
    const left = await ids('deployments');
    expect(left).toHaveLength(retention.deployments + 2);
    expect(left).toEqual(expect.arrayContaining(['other', 'open', many.at(-1)!.id]));
    expect(left).not.toContain('d0000');
  });

  it('of cached builds go by their last use, in each project', async () => {
    const rows = Array.from({ length: retention.builtTrees + 5 }, (_, i) => ({
      ...{ project: 'default', key: String(i), tree: 't', created_at: 0, used_at: now - 1_000_000 + i },
    }));
    const other = { project: 'other', key: 'k', tree: 't', created_at: 0, used_at: now - 13 * day };
    const unused = { project: 'other', key: 'old', tree: 't', created_at: 0, used_at: now - 15 * day };
    await control.store.db
      .insertInto('build_cache')
      .values([...rows, other, unused])
      .execute();
    await pruneRows(control, nonces, now);
    const left = await control.store.db.selectFrom('build_cache').select('key').execute();
    expect(left).toHaveLength(retention.builtTrees + 1);
    expect(left.map(({ key }) => key)).not.toContain('0');
    expect(left.map(({ key }) => key)).toContain('k');
  });
});

describe('an app', () => {
  it('that is pushed again and again keeps its newest releases and what they name', async () => {
    await control.store.db.deleteFrom('apps').execute();
    await addHost(control, 'h1');
    const life = { control, router: await addRouter(control) };
    for (let i = 0; i < 4; i++) await pushApp(life, { config: { N: String(i) } });
    const { db } = control.store;
    // As if there had been many in between.
    await db
      .updateTable('apps')
      .set({ last_release: retention.releases + 2 })
      .execute();
    await pruneRows(control, nonces, now + day);
    const releases = await db.selectFrom('releases').select('version').orderBy('version').execute();
    expect(releases.map(({ version }) => version)).toEqual([3, 4]);
    expect(await db.selectFrom('config_versions').select('version').execute()).toHaveLength(2);
    await pushApp(life, { config: { N: 'more' } });
  });

  it('leaves nothing when it is destroyed, but events', async () => {
    const { db } = control.store;
    await addHost(control, 'h1');
    const router = await addRouter(control);
    const { app_id: id } = await pushApp({ control, router });
    await db.updateTable('apps').set({ state: 'destroying' }).where('id', '=', id).execute();
    for (let i = 0; i < 10; i++) await round({ control, router }, id);
    await maintain(control, nonces, Date.now() + day);
    for (const table of ['instances', 'deployments', 'rollouts', 'releases', 'images', 'config_versions'] as const)
      expect(await db.selectFrom(table).selectAll().execute(), table).toEqual([]);
    expect(await db.selectFrom('apps').select('id').execute()).toHaveLength(2);
  });
});

describe('measurements', () => {
  it('are kept of what is there', async () => {
    await addHost(control, 'h1');
    await control.store.db
      .insertInto('instances')
      .values([instanceRow('i1')])
      .execute();
    for (const id of ['i1', 'gone']) control.usage.set(id, { cpu: 1, memoryMb: 1 });
    for (const id of ['h1', 'gone']) control.disks.set(id, { totalMb: 1, freeMb: 1 });
    await maintain(control, nonces);
    expect([...control.usage.keys(), ...control.disks.keys()]).toEqual(['i1', 'h1']);
  });
});
