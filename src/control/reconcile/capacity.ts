import { PaasError } from '../../shared/errors.ts';
import type { Control } from '../context.ts';

/** So many refused creations in a row are reported instead of waited for. */
const attemptsUntilStuck = 3;

/**
 * Why those of some instances of an app that wait for a host will not be placed: no host has room, none is coming, none
 * may be created, and nothing is about to leave. Null while waiting is worthwhile.
 * @param among whose waiting matters: a task or cron run without room is nothing to a rollout
 */
export async function capacityProblem(
  control: Control,
  appId: string,
  among: readonly { id: string }[],
): Promise<PaasError | null> {
  const { db } = control.store;
  const rows = await db
    .selectFrom('instances')
    .select(['id', 'process_type', 'ordinal', 'memory_mb'])
    .where('app_id', '=', appId)
    .where('ended_at', 'is', null)
    .where('host_id', 'is', null)
    .execute();
  const ids = new Set(among.map(({ id }) => id));
  const waiting = rows.filter(({ id }) => ids.has(id));
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
  const hosts = await db.selectFrom('hosts').select(['name', 'state', 'roles', 'message', 'attempts']).execute();
  const compute = hosts.filter((host) => (JSON.parse(host.roles) as string[]).includes('compute'));
  const alive = compute.filter((host) => host.state !== 'lost' && host.state !== 'deleting');
  const coming = alive.filter((host) => host.state === 'creating');
  const stuck = coming.filter((host) => host.message !== null && host.attempts >= attemptsUntilStuck);
  if (stuck[0] && stuck.length === coming.length) {
    return new PaasError('cloud_failed', `${stuck[0].name} cannot be created: ${stuck[0].message ?? ''}`, {
      hint: 'It is tried again and again. See `paas clouds test NAME` and `paas hosts`.',
    });
  }
  if (alive.length < maxHosts || coming.length > 0) return null;
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
