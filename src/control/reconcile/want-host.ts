import { newId } from '../../shared/ids.ts';
import type { Control } from '../context.ts';
import type { Trx } from '../store/open.ts';

export interface HostWish {
  roles: string[];
  cpu: number;
  memoryMb: number;
  /** Who wants it, for the event. */
  actor: string;
}

/** Records that a host shall exist. The next look creates it. Returns its name. */
export async function wantHost(control: Control, wish: HostWish): Promise<string> {
  const name = await control.store.transaction((trx) => insertHost(trx, wish));
  await hostWanted(control, name, wish);
  return name;
}

/** The record alone; `hostWanted` follows once it is committed. Returns the host's name. */
export async function insertHost(trx: Trx, wish: HostWish): Promise<string> {
  const prefix = wish.roles.includes('router') ? 'router' : 'host';
  const cluster = await trx.selectFrom('clusters').selectAll().executeTakeFirstOrThrow();
  const counter = await trx
    .selectFrom('meta')
    .select('value')
    .where('key', '=', `counter/${prefix}`)
    .executeTakeFirst();
  const number = Number(counter?.value ?? '0') + 1;
  const value = String(number);
  await trx
    .insertInto('meta')
    .values({ key: `counter/${prefix}`, value })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
    .execute();
  await trx
    .insertInto('hosts')
    .values({
      id: newId('hst'),
      name: `${prefix}-${number}`,
      cluster: cluster.name,
      cloud: cluster.cloud,
      cloud_id: null,

      token: `paas-${newId('tok').slice(4)}`,
      state: 'creating',
      roles: JSON.stringify(wish.roles),
      draining: 0,
      address: null,
      cpu: wish.cpu,
      memory_mb: wish.memoryMb,
      facts: null,
      enrol_hash: null,
      generation: 0,
      attempts: 0,
      message: null,
      last_seen: null,
      created_at: Date.now(),
    })
    .execute();
  return `${prefix}-${number}`;
}

/** Tells of a host that was recorded, and has it created. */
export async function hostWanted({ events, settings, wake }: Control, name: string, wish: HostWish): Promise<void> {
  await events.record({
    kind: 'host.wanted',
    actor: wish.actor,
    target: name,
    message: `${name} is wanted (${wish.roles.join(', ')}; ${wish.cpu} cpu, ${wish.memoryMb} MiB; at most ${settings.cluster.maxHosts} compute hosts)`,
  });
  wake.hosts();
}
