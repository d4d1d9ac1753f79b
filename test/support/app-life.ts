/** Pushes without a CLI, and agents and routers that do what they are told, one round at a time. */
import type { InstanceStatus } from '../../src/shared/contracts/instances.ts';
import { pushRequest } from '../../src/shared/contracts/api.ts';
import { applyReport } from '../../src/control/agents/reports.ts';
import { insertApp } from '../../src/control/deploy/apps.ts';
import { activate, insertDeployment } from '../../src/control/deploy/deployments.ts';
import { requestPlace } from '../../src/control/reconcile/advance.ts';
import type { AppRow, DeploymentRow, InstanceRow } from '../../src/control/store/schema.ts';
import type { TestControl } from './control.ts';
import { MemoryObjects, type Files } from './memory-objects.ts';

/** Stores a source tree; answers its digest. */
export async function storeTree(control: TestControl, files: Files): Promise<string> {
  const memory = new MemoryObjects();
  const root = memory.addTree(files);
  await control.blobs.put([...memory.objects.values()].map(({ bytes }) => bytes));
  return root;
}

/** A source that needs no build: a Procfile and a program. */
export const plainApp = (text = 'one', procfile = 'web: ./run\n'): Files => ({
  Procfile: procfile,
  run: { text: `#!/bin/sh\n# ${text}\n`, mode: 0o755 },
});

export const healthy = (row: InstanceRow): InstanceStatus => ({
  ...{ id: row.id, state: 'healthy', ready: true, address: '127.0.0.2', port: 20_000 + row.ordinal },
  ...{ startedAt: '2026-01-01T00:00:00.000Z', restarts: row.restarts, message: null, exit: null, cpu: 0, memoryMb: 10 },
});

export const crashed = (row: InstanceRow, restarts = 3): InstanceStatus => ({
  ...healthy(row),
  ...{ state: 'crashed', ready: false, restarts, message: null },
  exit: { code: 1, signal: null, reason: 'exited', at: '2026-01-01T00:00:00.000Z' },
});

/** What an agent says of one of its instances; null: nothing yet. */
export type Behaviour = (row: InstanceRow) => InstanceStatus | null;

/** Every connected agent reports once on the whole of what it has; what shall stop is gone. */
export async function agentsReport(control: TestControl, behave: Behaviour = healthy): Promise<void> {
  const { db } = control.store;
  for (const hostId of control.fakeHub.links) {
    const host = await db.selectFrom('hosts').select('generation').where('id', '=', hostId).executeTakeFirst();
    if (!host) continue;
    const rows = await db
      .selectFrom('instances')
      .selectAll()
      .where('host_id', '=', hostId)
      .where('ended_at', 'is', null)
      .where('desired', '!=', 'stop')
      .execute();
    const instances = rows.flatMap((row) => behave(row) ?? []);
    await applyReport(control, { hostId, generation: host.generation, instances, full: true });
  }
}

export interface Life {
  control: TestControl;
  router: { acknowledge: (open?: Record<string, number>) => void };
  behave?: Behaviour;
}

/** One round of everyone: control plane, agents, routers. */
export async function round({ control, router, behave }: Life, appId: string): Promise<void> {
  await control.reconcileApp(appId);
  await agentsReport(control, behave);
  await control.routing.reconcile();
  router.acknowledge();
}

/** Rounds until `until` answers true. */
export async function live(life: Life, appId: string, until: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 60; i++) {
    if (await until()) return;
    await round(life, appId);
  }
  const rows = await life.control.store.db.selectFrom('deployments').selectAll().execute();
  throw new Error(`it does not come to that: ${JSON.stringify(rows.map(({ state, error }) => ({ state, error })))}`);
}

export const deploymentOf = (control: TestControl, id: string): Promise<DeploymentRow> =>
  control.store.db.selectFrom('deployments').selectAll().where('id', '=', id).executeTakeFirstOrThrow();

export const appOf = (control: TestControl, id: string): Promise<AppRow> =>
  control.store.db.selectFrom('apps').selectAll().where('id', '=', id).executeTakeFirstOrThrow();

/** Rounds until a deployment has ended, and a few more until nothing leaves any more. Answers its row. */
export async function finished(life: Life, id: string): Promise<DeploymentRow> {
  const { control } = life;
  const { app_id: appId } = await deploymentOf(control, id);
  await live(life, appId, async () => (await deploymentOf(control, id)).finished_at !== null);
  await live(life, appId, async () => {
    const leaving = control.store.db.selectFrom('instances').select('id').where('ended_at', 'is', null);
    return (await leaving.where('desired', '!=', 'run').executeTakeFirst()) === undefined;
  });
  return deploymentOf(control, id);
}

export interface PushWish {
  files?: Files;
  name?: string;
  spec?: Record<string, unknown>;
  [more: string]: unknown;
}

/** Records a push as the API does; answers its deployment's id. */
export async function beginPush(control: TestControl, wish: PushWish = {}): Promise<{ id: string; appId: string }> {
  const { files = plainApp(), name = 'shop', spec, ...more } = wish;
  const tree = await storeTree(control, files);
  const request = pushRequest.parse({
    ...{ source: { tree }, spec: { name, processes: { web: { kind: 'web', command: './run' } }, ...spec } },
    ...more,
  });
  return control.store.transaction(async (trx) => {
    const names = { project: 'default', environment: 'dev', name };
    const present = await trx.selectFrom('apps').selectAll().where('name', '=', name).executeTakeFirst();
    const app = present ?? (await insertApp(trx, names));
    const sealed = control.sealer.seal(JSON.stringify(request), requestPlace(app.id));
    const row = await insertDeployment(trx, app.id, {
      ...{ kind: 'push', actor: 'key:test', state: 'building', request: sealed },
    });
    await activate(trx, app, row.id);
    return { id: row.id, appId: app.id };
  });
}

/** Pushes and lives until it has ended. */
export async function pushApp(life: Life, wish: PushWish = {}): Promise<DeploymentRow> {
  const { id } = await beginPush(life.control, wish);
  return finished(life, id);
}

/** Instances that have not ended, as `web.1 v2 run healthy`. */
export async function instancesOf(control: TestControl, appId: string): Promise<string[]> {
  const rows = await control.store.db
    .selectFrom('instances')
    .selectAll()
    .where('app_id', '=', appId)
    .where('ended_at', 'is', null)
    .execute();
  return rows.map((r) => `${r.process_type}.${r.ordinal} v${r.release} ${r.desired} ${r.state}`).sort();
}
