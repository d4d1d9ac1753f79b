import { PaasError } from '../../shared/errors.ts';
import type { Control } from '../context.ts';

/**
 * Why an app's waiting instances will not be placed: no host has room, none is coming, none may be created, and nothing
 * is about to leave. Null while waiting is worthwhile.
 */
export async function capacityProblem(control: Control, appId: string): Promise<PaasError | null> {
  const { db } = control.store;
  const waiting = await db
    .selectFrom('instances')
    .select(['process_type', 'ordinal', 'memory_mb'])
    .where('app_id', '=', appId)
    .where('ended_at', 'is', null)
    .where('host_id', 'is', null)
    .execute();
  const [first] = waiting;
  if (!first) return null;
  const { hostMemoryMb, maxHosts } = control.settings.cluster;
  if (first.memory_mb > hostMemoryMb) {
    return new PaasError(
      'no_capacity',
      `${first.process_type}.${first.ordinal} asks for ${first.memory_mb} MiB, but a host has ${hostMemoryMb} MiB.`,
      {
        hint: `Ask for less: \`paas scale --memory ${first.process_type}=${hostMemoryMb}M\`.`,
      },
    );
  }
  const hosts = await db.selectFrom('hosts').select(['state', 'roles', 'message']).execute();
  const compute = hosts.filter((host) => (JSON.parse(host.roles) as string[]).includes('compute'));
  const alive = compute.filter((host) => host.state !== 'lost' && host.state !== 'deleting');
  if (alive.length < maxHosts || alive.some((host) => host.state === 'creating' || host.state === 'error')) return null;
  if (compute.length > alive.length) return null;
  const leaving = await db
    .selectFrom('instances')
    .select('id')
    .where('ended_at', 'is', null)
    .where('desired', '!=', 'run')
    .executeTakeFirst();
  if (leaving) return null;
  return new PaasError(
    'no_capacity',
    `${waiting.length} instances find no room on the ${alive.length} hosts, and no more than ${maxHosts} may be created.`,
    {
      hint: 'Scale something down, ask for less memory, or raise the ceiling of hosts. See `paas hosts`.',
    },
  );
}
