/**
 * A control plane's long life in a short time: `soak.js PUSHES EVENTS`. Every push changes the source, a release and an
 * instance come and go with it, time passes by five minutes, and maintenance runs as it does then; after that so many
 * events, and a day of logs. Prints a JSON line at every tenth of the way: what memory, handles and disk are taken.
 * Agents, routers and the cloud are played; store, blobs, logs and reconcilers are real. To be run with --expose-gc.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { createHandlers } from '../../../src/control/agents/handlers.ts';
import { maintain } from '../../../src/control/reconcile/maintenance.ts';
import { StoredNonces } from '../../../src/control/store/nonces.ts';
import type { LogBlock } from '../../../src/shared/contracts/agent.ts';
import { healthy, plainApp, pushApp } from '../../support/app-life.ts';
import { addHost, addRouter, facts, makeControl } from '../../support/control.ts';

export interface Mark {
  phase: string;
  done: number;
  heap: number;
  external: number;
  handles: number;
  /** Bytes of all files of the data directory. */
  disk: number;
  rows: Record<string, number>;
}

const [pushes = 0, events = 0] = process.argv.slice(2).map(Number);
const minute = 60_000;

let passed = 0;
const realNow = Date.now;
Date.now = () => realNow() + passed;

const control = await makeControl();
const nonces = new StoredNonces(control.store);
await addHost(control, 'h1', { memory_mb: 16_384 });
const router = await addRouter(control);
const handlers = createHandlers(control);
control.hub.send = () => true;

function bytesBelow(directory: string): number {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce(
      (sum, entry) => sum + (statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0),
      0,
    );
}

async function mark(phase: string, done: number): Promise<void> {
  await control.logs.flush();
  for (let i = 0; i < 4; i++) {
    await setImmediate();
    (globalThis as { gc?: () => void }).gc!();
  }
  const { heapUsed, external } = process.memoryUsage();
  const rows: Record<string, number> = {};
  for (const table of ['instances', 'deployments', 'rollouts', 'releases', 'images', 'events', 'nonces'] as const) {
    const { n } = await control.store.db
      .selectFrom(table)
      .select((eb) => eb.fn.countAll<number>().as('n'))
      .executeTakeFirstOrThrow();
    rows[table] = n;
  }
  rows['packs'] = control.blobs.stats().packs;
  rows['objects'] = control.blobs.stats().objects;
  const mark: Mark = {
    ...{ phase, done, heap: heapUsed, external, rows },
    ...{ handles: readdirSync('/proc/self/fd').length, disk: bytesBelow(control.settings.dataDir) },
  };
  process.stdout.write(`${JSON.stringify(mark)}\n`);
}

/** What an agent says and sends of an instance. */
async function agentTalks(): Promise<void> {
  const rows = await control.store.db.selectFrom('instances').selectAll().where('ended_at', 'is', null).execute();
  const instances = rows.map((row) => healthy(row));
  const disk = { totalMb: 10_000, freeMb: 5000 };
  await handlers.message('h1', { type: 'report', generation: 0, instances, full: false, disk });
  for (const row of rows) await writes(row, 400);
}

async function newestTree(): Promise<string> {
  const images = control.store.db.selectFrom('images').select('tree').orderBy('created_at', 'desc');
  return (await images.executeTakeFirstOrThrow()).tree;
}

const offsets = new Map<string, number>();
async function writes(row: { id: string; app_id: string; release: number }, lines: number): Promise<void> {
  const payload = Buffer.from(`${'x'.repeat(79)}\n`.repeat(lines));
  const from = offsets.get(row.id) ?? 0;
  const block: LogBlock = {
    ...{ type: 'logs', instance: row.id, name: 'web.1', appId: row.app_id, processType: 'web', release: row.release },
    ...{ source: 'app', stream: 'stdout', from, to: from + payload.length, ts: new Date(Date.now()).toISOString() },
    ...{ partial: false, dropped: { bytes: 0, lines: 0 } },
  };
  if (offsets.size > 100) offsets.clear();
  offsets.set(row.id, block.to);
  await handlers.logs('h1', block, payload);
}

await handlers.hello('h1', {
  ...{ type: 'hello', protocol: 1, hostId: 'h1', facts: facts(), generation: 0 },
  ...{ instances: [], stepResults: [], steps: [] },
});

for (let push = 1; push <= pushes; push++) {
  await nonces.use('key', `nonce-${push}`, Date.now() + 10 * minute);
  const row = await pushApp({ control, router }, { files: plainApp(`push ${push}`), config: { PUSH: String(push) } });
  if (row.state !== 'succeeded') throw new Error(`push ${push}: ${row.state} ${String(row.error)}`);
  // As a client does before it uploads: what is there is held for it.
  await control.blobs.missing([await newestTree()], 'ci');
  await agentTalks();
  await control.hosts.reconcile();
  passed += 5 * minute;
  control.fakeHub.take();
  control.woken.length = 0;
  await maintain(control, nonces);
  if (push % Math.ceil(pushes / 10) === 0) await mark('pushes', push);
}

const stop = control.events.listen(() => undefined);
for (let done = 0; done < events; done += 1000) {
  const recorded = await control.store.transaction(async (trx) => {
    const all = [];
    for (let i = 0; i < 1000; i++) {
      const details = { number: done + i, text: 'x'.repeat(100) };
      all.push(await control.events.record({ kind: 'soak', actor: 'platform', message: 'an event', details }, trx));
    }
    return all;
  });
  control.events.announce(...recorded);
  if ((done + 1000) % Math.ceil(events / 10) === 0) await mark('events', done + 1000);
}
stop();

const [instance] = await control.store.db.selectFrom('instances').selectAll().where('ended_at', 'is', null).execute();
for (let done = 0; instance && done < 24 * 60; done++) {
  // About 360 MiB in a day: more than an app's logs may take.
  await writes(instance, 3200);
  passed += minute;
  if (done % 10 === 9) await control.logs.flush();
  if (done % 60 === 59) await maintain(control, nonces);
  if ((done + 1) % 144 === 0) await mark('logs', done + 1);
}
if (control.errors.length > 0) throw new Error(`errors were logged: ${control.errors.map(String).join('; ')}`);
await control.close();
