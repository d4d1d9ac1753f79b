import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { maintain } from '../../../../src/control/reconcile/maintenance.ts';
import { pruneRows, retention } from '../../../../src/control/reconcile/retention.ts';
import { applyConfig, putConfig } from '../../../../src/control/deploy/release.ts';
import { StoredNonces } from '../../../../src/control/store/nonces.ts';
import type { Schema } from '../../../../src/control/store/schema.ts';
import { pushApp, round } from '../../../support/app-life.ts';
import { addHost, addRouter, makeControl, type TestControl } from '../../../support/control.ts';
import { appRow, deploymentRow, instanceRow } from '../../../support/rows.ts';
import { appUrl } from '../../../support/api.ts';
import { Matrix } from '../rollout/matrix-world.ts';

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

/** `other` comes after each look at apps outside of transactions, until what this returns is called. */
function afterAppsRead({ store }: TestControl, other: () => Promise<unknown>): () => void {
  const { db } = store;
  const hooked = <T extends object>(query: T): T =>
    new Proxy(query, {
      get: (_, key) => {
        const method: unknown = Reflect.get(query, key);
        if (typeof method !== 'function') return method;
        return (...args: unknown[]) => {
          const next: unknown = Reflect.apply(method, query, args);
          return next instanceof Promise ? next.then((rows) => other().then(() => rows as unknown)) : hooked(next as T);
        };
      },
    });
  const selectFrom = db.selectFrom.bind(db);
  const tables = (name: keyof Schema) => (name === 'apps' ? hooked(selectFrom(name)) : selectFrom(name));
  Object.assign(db, { selectFrom: tables });
  return () => void Object.assign(db, { selectFrom });
}

describe('config versions', () => {
  let m: Matrix;
  afterEach(() => m.control.close());
  const set = async (values: Record<string, string>) => {
    const body = { set: values, unset: [], restart: false };
    const answer = await m.api.call('PATCH', `${appUrl}/config`, { body });
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    return answer.body['version'] as number;
  };
  const prune = () => pruneRows(m.control, new StoredNonces(m.control.store), Date.now());
  const cancel = async () => {
    expect((await m.post('/rollout/cancel')).status).toBeLessThan(300);
    await m.settle();
    return (await m.kept()).config;
  };

  it('that a rollout goes back to stay, though no release names them', async () => {
    m = await Matrix.in('steady');
    await set({ X: '1' });
    await m.enter('canary-manual');
    await prune();
    expect(await cancel()).toEqual({ TEXT: 'one', X: '1' });
  });

  it('of both ways stay where config was changed during a rollout', async () => {
    m = await Matrix.in('paused');
    await set({ NEW: '1' });
    await prune();
    expect((await m.kept()).config).toEqual({ TEXT: 'two', NEW: '1' });
    expect(await cancel()).toEqual({ TEXT: 'one', NEW: '1' });
  });

  it('that are recorded while it looks stay', async () => {
    m = await Matrix.in('steady');
    let number = 0;
    const done = afterAppsRead(m.control, async () => {
      number++;
      await m.control.store.transaction(async (trx) => {
        const app = await trx.selectFrom('apps').selectAll().executeTakeFirstOrThrow();
        const version = await putConfig(trx, m.control, app, {}, { X: String(number) }, 'key:test');
        await applyConfig(trx, app.id, version);
      });
    });
    await prune();
    done();
    expect(number).toBeGreaterThan(0);
    expect((await m.kept()).config).toEqual({ X: String(number) });
  });

  it('that nothing refers to go, but no later one gets their number', async () => {
    m = await Matrix.in('rolling');
    const last = await set({ NEW: '1' });
    await cancel();
    await prune();
    expect(await set({ NEW: '2' })).toBeGreaterThan(last);
    await prune();
    const left = await m.control.store.db.selectFrom('config_versions').select('version').execute();
    expect(left.map(({ version }) => version)).not.toContain(last);
    expect((await m.kept()).config).toEqual({ TEXT: 'one', NEW: '2' });
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
