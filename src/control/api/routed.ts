/** Changes of the route table that are done only when the routers have them. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Backend, RouteTable } from '../../shared/contracts/routes.ts';
import { PaasError } from '../../shared/errors.ts';
import type { Control } from '../context.ts';
import { routerPolicy } from '../deploy/router-settings.ts';

/** Routers acknowledge within some milliseconds. */
const lookMs = 5;

/** How often to look whether it is still wanted. */
const wantedMs = 200;

/** What of a backend is an app's own. */
type Policy = Pick<Backend, 'maintenance' | 'nginx'>;

type Waiting = Pick<Control, 'routing' | 'settings' | 'store' | 'wake'>;

/**
 * Waits until every router has acknowledged a table in which `holds` is true of all of an app's backends, or somebody has
 * wanted otherwise since. An app that no route leads to has none, so nothing is waited for but the routers themselves.
 * @param what of the time-out's message: `the maintenance of shop`
 * @throws PaasError `timeout`; the change is made all the same
 */
export async function untilRouted(
  control: Waiting,
  appId: string,
  holds: (policy: Policy) => boolean,
  what: string,
): Promise<void> {
  const isThere = ({ backends }: RouteTable): boolean =>
    Object.values(backends).every((backend) => backend.appId !== appId || holds(backend));
  await untilInTable(control, isThere, () => isWanted(control, appId, holds), what);
}

/**
 * Waits until every router has acknowledged a table in which something is there, as long as it is wanted.
 * @throws PaasError `timeout`; the change is made all the same
 */
export async function untilInTable(
  control: Waiting,
  isThere: (table: RouteTable) => boolean,
  wanted: () => Promise<boolean>,
  what: string,
): Promise<void> {
  const timeoutMs = control.settings.timing.routed;
  const deadline = Date.now() + timeoutMs;
  control.wake.routes();
  let from: number | undefined;
  let lookedAt = 0;
  for (;;) {
    if (Date.now() - lookedAt >= wantedMs) {
      lookedAt = Date.now();
      if (!(await wanted())) return;
    }
    const { table } = control.routing;
    if (from === undefined && isThere(table)) from = table.version;
    const { version } = control.routing.summary();
    if (from !== undefined && version >= from) return;
    if (Date.now() >= deadline) {
      const have = version < 0 ? 'no router is connected' : `they have table ${version}`;
      throw new PaasError(
        'timeout',
        `Waited ${timeoutMs / 1000} s for the routers to take up ${what} (table ${from ?? table.version}; ${have}).`,
        { hint: 'The change is made, and routers take it up as soon as they can: see `paas status`.' },
      );
    }
    await sleep(lookMs);
  }
}

async function isWanted(
  { store }: Pick<Control, 'store'>,
  appId: string,
  holds: (policy: Policy) => boolean,
): Promise<boolean> {
  const app = await store.db.selectFrom('apps').selectAll().where('id', '=', appId).executeTakeFirst();
  return app !== undefined && holds(routerPolicy(app));
}
